"""Baseline and growth: what must be true before a trial may disturb the service."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from campaign.model import ApplyLoad, GrowData, Inconclusive, PrepareStack
from campaign.testing import make_plan
from tests.machine_kit import BEGAN_AT, Drive, without_growth


def test_the_first_event_asks_for_a_fresh_stack() -> None:
    drive = Drive()
    assert drive.commands == (PrepareStack(trial=0, fresh=True, revision=None),)
    assert drive.phase == "preparing"


def test_a_stack_that_is_ready_gets_the_base_load() -> None:
    drive = Drive().stack_ready()
    assert drive.commands == (ApplyLoad(id="t0-baseline", trial=0, load=drive.plan.base_load),)
    assert drive.trial.revision_before == "r0"


def test_nothing_is_clean_before_the_base_load_is_on() -> None:
    assert Drive().to_baseline().tick(20).phase == "baseline"


def test_the_baseline_ends_after_one_clean_period() -> None:
    drive = Drive().to_baseline().load_applied().tick(6)
    assert drive.phase == "baseline"
    drive.tick()
    assert drive.phase == "growing"
    assert drive.commands == (GrowData(id="t0-growth", trial=0, profile=drive.plan.profiles[0]),)


@pytest.mark.parametrize(
    "hiccup",
    [
        lambda drive: drive.tick(blind=True),
        lambda drive: drive.tick(red=["canary"]),
        lambda drive: drive.skip(10.0),
    ],
    ids=["doubt", "violation", "gap"],
)
def test_the_clean_period_starts_anew_after(hiccup: Callable[[Drive], Drive]) -> None:
    drive = hiccup(Drive().to_baseline().load_applied().tick(5))
    assert drive.tick(6).phase == "baseline"
    assert drive.tick().phase == "growing"


def test_a_profile_without_data_goes_straight_to_its_load() -> None:
    drive = Drive(without_growth(make_plan(1))).to_growing()
    assert drive.phase == "disturbed"
    assert drive.commands == (ApplyLoad(id="t0-full", trial=0, load=drive.campaign.full_load),)


def test_a_red_baseline_of_the_untouched_app_is_a_fault_of_the_calibration() -> None:
    drive = Drive().to_baseline().load_applied().tick(31, red=["canary"])
    assert drive.trial.verdict == Inconclusive(
        fault="calibration", reason="the unmodified app violates canary under base load"
    )


def test_a_baseline_left_red_by_an_earlier_trial_is_recorded_and_the_trial_goes_on() -> None:
    drive = Drive().to_second_trial().load_applied().tick(31, red=["p0_latency"])
    assert drive.phase == "growing"
    assert drive.trial.baseline_red == ("p0_latency",)


def test_a_red_baseline_in_isolation_is_nobody_elses_damage() -> None:
    drive = Drive(make_plan(2, mode="isolated"))
    drive.to_healing().load_applied().stack_ready().load_applied().tick(31, red=["canary"])
    assert drive.index == 1
    assert isinstance(drive.trial.verdict, Inconclusive)


def test_a_baseline_nobody_can_see_is_the_metrics_fault() -> None:
    drive = Drive().to_baseline().load_applied().tick(31, blind=True)
    assert drive.trial.verdict == Inconclusive(fault="metrics", reason="prometheus: no answer")


def test_a_baseline_with_a_starved_generator_is_the_generators_fault() -> None:
    drive = Drive().to_baseline().load_applied().tick(31, starved=True)
    assert isinstance(drive.trial.verdict, Inconclusive)
    assert drive.trial.verdict.fault == "loadgen"


def test_a_generator_that_offers_nothing_is_no_calm_baseline() -> None:
    names = [invariant.id for invariant in make_plan(2).invariants]
    drive = Drive().to_baseline().load_applied().tick(31, idle=names)
    assert drive.trial.verdict == Inconclusive(fault="loadgen", reason="no load was offered")


def test_a_baseline_that_is_clean_at_last_may_finish_its_clean_period() -> None:
    drive = Drive().to_baseline().load_applied().tick(27, red=["canary"]).tick(6)
    assert drive.phase == "baseline"
    assert drive.tick().phase == "growing"


def test_growth_is_waited_for() -> None:
    drive = Drive().to_growing().tick(600)
    assert drive.phase == "growing"
    assert drive.data_grown().phase == "disturbed"


def test_times_are_those_of_the_events() -> None:
    drive = Drive().to_growing()
    assert drive.trial.started_at == BEGAN_AT
    assert drive.trial.baseline_at == drive.at
