"""How the load's benchmark reckons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from campaign.adapters.calibration import read_histogram
from loadgen.testing import Samples
from tests.bench.bench_load import Climb, figures
from tests.bench.load_server import Truth
from tests.bench.load_step import Look, Step, step

_LABELS = 'behaviour="herd",operation="get_user"'


def exposition(*, offered: int, quick: int, slow: int, errors: int) -> str:
    """Of a worker that was answered `quick` times below 0.1 s and `slow` times below 0.15 s."""
    name = "loadgen_request_duration_seconds"
    done = quick + slow
    return f"""# TYPE loadgen_requests_offered_total counter
loadgen_requests_offered_total{{{_LABELS}}} {offered}
# TYPE loadgen_request_errors_total counter
loadgen_request_errors_total{{{_LABELS},kind="timeout"}} {errors}
# TYPE {name} histogram
{name}_bucket{{{_LABELS},le="0.1"}} {quick}
{name}_bucket{{{_LABELS},le="0.15"}} {done}
{name}_bucket{{{_LABELS},le="+Inf"}} {done}
{name}_sum{{{_LABELS}}} 1
{name}_count{{{_LABELS}}} {done}
"""


def look(at_s: float, used_s: Mapping[str, float], *told: str) -> Look:
    samples = [replace(Samples.parse(each), at_s=at_s) for each in told]
    durations = read_histogram(told[0], behaviour="herd")
    for each in told[1:]:
        durations = durations.plus(read_histogram(each, behaviour="herd"))
    return Look(samples=samples, durations=durations, used_s=used_s, at_s=at_s)


def made(
    offered_hz: float, cpu: Mapping[str, float] | None = None, *, is_reached: bool = True
) -> Step:
    return Step(
        offered_hz=offered_hz,
        due_hz=offered_hz,
        answered_hz=offered_hz if is_reached else offered_hz / 2,
        errors=0,
        worst_lag_s=0.01,
        p95_ms=142.0,
        true_p95_ms=141.0,
        slow_ratio=0.33,
        true_slow_ratio=0.33,
        cpu=cpu or {"w1": 0.3},
    )


def climb(*offered_hz: float, missed_hz: float | None = None, **cpu: float) -> Climb:
    reached: Sequence[Step] = [made(each, cpu) for each in offered_hz]
    missed = made(missed_hz, cpu, is_reached=False) if missed_hz else None
    return Climb(reached=reached, missed=missed)


def test_the_truth_is_an_answer_that_was_and_nothing_in_between() -> None:
    truth = Truth(durations_s=(0.2, 0.01, 0.12, 0.05))
    assert truth.quantile_s(0.5) == 0.05
    assert truth.quantile_s(0.95) == 0.2
    assert truth.slow_ratio == 0.5


def test_without_an_answer_there_is_nothing_slow() -> None:
    nothing = Truth(durations_s=())
    assert (nothing.quantile_s(0.95), nothing.slow_ratio) == (0.0, 0.0)


def test_a_step_is_what_was_added_by_all_workers_together() -> None:
    before = look(
        10.0,
        {"w1": 1.0, "w2": 1.0, "others": 5.0},
        exposition(offered=100, quick=50, slow=0, errors=3),
        exposition(offered=0, quick=0, slow=0, errors=0),
    )
    after = look(
        12.0,
        {"w1": 2.0, "w2": 1.5, "others": 5.2},
        exposition(offered=300, quick=150, slow=100, errors=3),
        exposition(offered=200, quick=100, slow=100, errors=0),
    )
    truth = Truth(durations_s=(0.05, 0.12))
    found = step(before, after, truth, rate_hz=200.0, worst_lag_s=0.0)
    assert (found.due_hz, found.answered_hz) == (200.0, 200.0)
    assert found.errors == 0  # those of an earlier step are not this one's
    assert found.slow_ratio == pytest.approx(0.5)
    assert (found.true_p95_ms, found.true_slow_ratio) == (120.0, 0.5)
    # 200 of 400 lie between 100 and 150 ms: the 380th is nine tenths up.
    assert found.p95_ms == pytest.approx(145.0)
    assert found.cpu == pytest.approx({"w1": 0.5, "w2": 0.25, "others": 0.1})
    assert found.workers_cpu == pytest.approx(0.75)


@pytest.mark.parametrize("wrong", [{"answered_hz": 970.0}, {"errors": 1}, {"worst_lag_s": 0.3}])
def test_a_rate_is_reached_in_full_in_time_and_without_an_error(wrong: dict[str, Any]) -> None:
    assert made(1000.0).is_reached
    assert not replace(made(1000.0), **wrong).is_reached


def test_the_ratios_are_of_the_most_that_was_reached_and_of_the_cost_at_the_lowest_rate() -> None:
    one = climb(1000.0, 2000.0, missed_hz=2500.0, w1=0.3)
    two = climb(1000.0, 2000.0, 2500.0, 3000.0, missed_hz=3500.0, w1=0.2, w2=0.13)
    told = figures(one, two)
    assert (told["two_over_one"], told["cost_two_over_one"]) == (1.5, 1.1)
    assert str(told["one_at_2500"]).startswith("NOT REACHED")
    assert str(told["two_at_2500"]).startswith("2500 due")
    assert str(told["two_end_at"]).startswith("3500: NOT REACHED")


def test_two_that_end_where_one_does_are_said_to() -> None:
    one = climb(1000.0, missed_hz=1500.0)
    told = figures(one, climb(1000.0, missed_hz=1500.0))
    assert told["two_over_one"] == 1.0
    assert str(told["two_at_1500"]).startswith("NOT REACHED")
    assert "two_end_at" not in told


def test_where_less_was_too_much_for_two_it_is_said_that_nothing_was_tried() -> None:
    told = figures(climb(1000.0, 1500.0, missed_hz=2000.0), climb(1000.0, missed_hz=1500.0))
    assert told["two_over_one"] == 0.67
    assert told["two_at_2000"] == "not tried: less was too much"


def test_on_a_machine_that_was_busy_otherwise_there_is_no_ratio() -> None:
    busy = climb(1000.0, w1=0.3, others=0.2, stolen=0.1)
    told = figures(climb(1000.0), busy)
    assert told["two_over_one"] is None
    assert told["cost_two_over_one"] is None
    assert "0.30 cores" in str(told["why_no_ratio"])


def test_where_nothing_was_reached_there_is_no_ratio() -> None:
    told = figures(climb(missed_hz=1000.0), climb(1000.0))
    assert told["two_over_one"] is None
    assert told["cost_two_over_one"] is None
