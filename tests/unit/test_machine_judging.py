"""One sample against its limit: HELD and VIOLATED need proof, everything else is a doubt."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from campaign.model import GeneratorHealth, GeneratorLimits, Reading, Sample, Status, judge
from campaign.testing import make_invariant

AT = 1000.0
INVARIANT = make_invariant("canary")
GOOD = Sample(invariant="canary", value=0.01, samples=40.0, offered=40.0, measured_at=AT)


def judged(sample: Sample | None, *, starved: bool = False) -> Reading:
    return judge(INVARIANT, sample, at=AT, freshness_s=3.0, starved=starved)


def test_a_value_up_to_the_limit_is_held_and_above_it_violated() -> None:
    assert judged(replace(GOOD, value=0.05)).status is Status.HELD
    assert judged(replace(GOOD, value=0.0501)).status is Status.VIOLATED
    assert judged(replace(GOOD, value=math.inf)).status is Status.VIOLATED


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (None, "no data"),
        (replace(GOOD, measured_at=None), "no data"),
        (replace(GOOD, offered=None), "no data"),
        (replace(GOOD, offered=math.nan), "no data"),
        (replace(GOOD, samples=None), "no data"),
        (replace(GOOD, samples=math.nan), "no data"),
        (replace(GOOD, value=None), "no value"),
        (replace(GOOD, value=math.nan), "no value"),
        (replace(GOOD, measured_at=AT - 3.1), "stale by 3.1 s"),
        (replace(GOOD, measured_at=AT + 3.1), "stale by -3.1 s"),
        (replace(GOOD, samples=19.0), "under the traffic floor"),
    ],
)
def test_every_doubt_is_unknown_and_never_a_pass(sample: Sample | None, reason: str) -> None:
    reading = judged(sample)
    assert (reading.status, reading.reason) == (Status.UNKNOWN, reason)


def test_a_violating_value_on_too_few_samples_is_no_violation() -> None:
    assert judged(replace(GOOD, value=0.9, samples=3.0)).status is Status.UNKNOWN


def test_what_is_hardly_offered_is_idle() -> None:
    assert judged(replace(GOOD, offered=9.0, samples=9.0, value=math.nan)).status is Status.IDLE


def test_a_starved_generator_makes_only_its_own_measurements_worthless() -> None:
    assert judged(GOOD, starved=True).status is Status.UNKNOWN
    probe = replace(INVARIANT, sources=("ratchet",))
    reading = judge(probe, GOOD, at=AT, freshness_s=3.0, starved=True)
    assert reading.status is Status.HELD


@pytest.mark.parametrize(
    ("health", "starved"),
    [
        (GeneratorHealth(lag_s=0.01, cpu_ratio=0.99), False),
        (GeneratorHealth(lag_s=0.3, cpu_ratio=0.1), True),
        (GeneratorHealth(lag_s=math.nan, cpu_ratio=0.1), True),
        (None, True),
    ],
)
def test_a_generator_is_starved_when_it_lags_or_says_nothing(
    *, health: GeneratorHealth | None, starved: bool
) -> None:
    assert GeneratorLimits().starved(health) is starved
