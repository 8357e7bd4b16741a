from __future__ import annotations

import math

import asyncpg
import pytest

from campaign.adapters import calibration
from campaign.adapters.calibration import Histogram, calibrate, rate_scale, read_histogram
from campaign.ports import PortError

EXPOSITION = """\
# HELP loadgen_request_duration_seconds Duration
# TYPE loadgen_request_duration_seconds histogram
loadgen_request_duration_seconds_bucket{behaviour="canary",operation="a",le="0.1"} 3
loadgen_request_duration_seconds_bucket{behaviour="canary",operation="a",le="+Inf"} 4
loadgen_request_duration_seconds_bucket{behaviour="canary",operation="b",le="0.1"} 10
loadgen_request_duration_seconds_bucket{behaviour="canary",operation="b",le="+Inf"} 10
loadgen_request_duration_seconds_bucket{behaviour="reader",operation="c",le="0.1"} 100
loadgen_request_duration_seconds_bucket{behaviour="reader",operation="c",le="+Inf"} 100
loadgen_request_duration_seconds_count{behaviour="canary",operation="a"} 4
loadgen_request_duration_seconds_sum{behaviour="canary",operation="a"} 0.7
# HELP loadgen_first_byte_seconds Another one
# TYPE loadgen_first_byte_seconds histogram
loadgen_first_byte_seconds_bucket{behaviour="canary",operation="a",le="0.1"} 1000
"""


def histogram(**counts: float) -> Histogram:
    """`le_01=3` is three at most 0.1 s; `inf` is all."""
    bounds = {"le_005": 0.05, "le_01": 0.1, "le_02": 0.2, "inf": math.inf}
    return Histogram(counts={bounds[name]: count for name, count in counts.items()})


def test_one_behaviours_operations_are_summed_and_no_others() -> None:
    assert read_histogram(EXPOSITION, behaviour="canary").counts == {0.1: 13.0, math.inf: 14.0}
    assert read_histogram(EXPOSITION, behaviour="nobody").counts == {}


def test_a_quantile_lies_linearly_within_its_bucket() -> None:
    spread = histogram(le_005=50, le_01=90, le_02=100, inf=100)
    assert spread.quantile(0.5) == pytest.approx(0.05)
    assert spread.quantile(0.7) == pytest.approx(0.075)
    assert spread.quantile(0.95) == pytest.approx(0.15)
    assert spread.quantile(1.0) == pytest.approx(0.2)


def test_a_quantile_in_the_first_bucket_begins_at_zero() -> None:
    assert histogram(le_005=100, inf=100).quantile(0.5) == pytest.approx(0.025)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert histogram(le_005=10, le_02=20, inf=100).quantile(0.95) == 0.2


@pytest.mark.parametrize("empty", [Histogram(counts={}), histogram(le_005=0, inf=0)])
def test_without_requests_there_is_no_quantile(empty: Histogram) -> None:
    assert empty.quantile(0.95) is None


def test_only_what_came_since_counts() -> None:
    before = histogram(le_005=10, le_01=10, inf=10)
    after = histogram(le_005=10, le_01=20, inf=20)
    assert after.since(before).quantile(0.5) == pytest.approx(0.075)
    assert after.since(after).quantile(0.5) is None


@pytest.mark.parametrize(
    ("ratio", "scale"), [(0.1, 0.5), (0.5, 0.5), (1.0, 1.0), (3.2, 3.2), (9.0, 4.0)]
)
def test_rates_are_scaled_within_what_was_ever_measured(ratio: float, scale: float) -> None:
    assert rate_scale(ratio) == scale


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError("refused"), asyncpg.TooManyConnectionsError("full")]
)
async def test_a_database_that_fails_is_named_as_the_part_at_fault(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def refuse(_dsn: str) -> None:
        raise error

    monkeypatch.setattr(asyncpg, "connect", refuse)
    with pytest.raises(PortError) as caught:
        await calibrate(
            FakeLoad(), metrics_urls=["http://127.0.0.1:1/metrics"], dsn="postgresql://"
        )
    assert caught.value.component == "postgres"


async def test_a_generator_without_metrics_is_named_and_its_load_taken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration, "_WARM_UP_S", 0.0)
    load = FakeLoad()
    with pytest.raises(PortError) as caught:
        await calibration._healthy_p95_s(load, ["http://127.0.0.1:1/metrics"])
    assert caught.value.component == "loadgen"
    assert load.ids == ["calibration", "calibration-end"]


class FakeLoad:
    def __init__(self) -> None:
        self.ids: list[str] = []

    async def apply(self, load: object, *, load_id: str) -> None:
        del load
        self.ids.append(load_id)
