"""What a violation at a trial's end is called, and whose it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.model import Plan, Unresolved
from campaign.testing import make_plan
from campaign.testing.world import make_invariant
from tests.machine_kit import Drive

LOST = "lost_tokens"


def plan(*, mode: str = "continuous") -> Plan:
    """The first profile breaks a correctness invariant beside its latency."""
    made = make_plan(3, mode=mode)
    invariant = replace(make_invariant(LOST), kind="correctness")
    first = replace(made.profiles[0], breaks=(*made.profiles[0].breaks, LOST))
    return replace(
        made,
        invariants=(*made.invariants, invariant),
        profiles=(first, *made.profiles[1:]),
    )


def second_trial(*, mode: str = "continuous") -> Drive:
    """The first trial proved what it broke."""
    return Drive(plan(mode=mode)).to_second_trial()


def lost(drive: Drive) -> str:
    assert isinstance(drive.trial.verdict, Unresolved)
    return drive.trial.verdict.reason


@pytest.mark.parametrize("mode", ["base", "full"])
def test_a_fix_that_breaks_what_an_earlier_trial_proved_is_a_regression_of_its_profile(
    mode: str,
) -> None:
    drive = second_trial()
    drive = drive.to_full_load() if mode == "full" else drive.to_confirming().load_applied()
    drive.tick(3).tick(2, red=[LOST])
    assert lost(drive) == f"regression at {mode} load: lost_tokens (p0)"


def test_it_is_a_regression_also_when_it_shows_while_the_fix_is_being_made() -> None:
    drive = second_trial().to_repairing().deploy().tick(5, red=[*("p1_latency",), LOST])
    assert LOST in drive.trial.violated
    drive.resolve().end_session().tick(61, red=[LOST])
    assert lost(drive) == "regression: lost_tokens (p0)"


def test_what_did_not_recover_and_what_was_broken_meanwhile_are_named_apart() -> None:
    drive = second_trial().to_recovering().tick(61, red=["p1_latency", LOST])
    assert lost(drive) == "did not recover: p1_latency; regression: lost_tokens (p0)"


def test_it_is_a_regression_even_when_the_ticket_was_opened_for_it() -> None:
    drive = second_trial().to_disturbed().load_applied().tick(5, red=[LOST])
    drive.deploy().resolve().end_session().tick(61, red=[LOST])
    assert lost(drive) == "regression: lost_tokens (p0)"


def test_the_trial_that_is_to_expose_it_never_calls_it_a_regression() -> None:
    drive = Drive(plan()).to_disturbed().load_applied().tick(5, red=[LOST])
    drive.deploy().resolve().end_session().tick(61, red=[LOST])
    assert lost(drive) == "did not recover: lost_tokens"


def test_correctness_that_no_earlier_trial_tested_is_a_regression_of_nobody_else() -> None:
    made = plan()
    untested = replace(make_invariant("missing_messages"), kind="correctness")
    drive = Drive(replace(made, invariants=(*made.invariants, untested))).to_second_trial()
    drive.to_full_load().tick(3).tick(2, red=["missing_messages"])
    assert lost(drive) == "regression at full load: missing_messages"


def test_what_was_red_already_when_the_trial_began_is_no_regression() -> None:
    drive = second_trial().load_applied().tick(31, red=[LOST])
    assert drive.trial.baseline_red == (LOST,)
    drive.data_grown().load_applied().tick(5, red=drive.broken)
    drive.deploy().resolve().end_session().tick(10).load_applied().tick(7)
    drive.load_applied().tick(3).tick(2, red=[LOST])
    assert lost(drive) == "violated again at full load: lost_tokens"


def test_what_an_earlier_trial_lost_is_not_called_new_or_a_regression() -> None:
    drive = Drive(plan()).to_recovering().tick(61, red=["p0_latency"]).load_applied()
    assert drive.index == 1
    drive.to_full_load().tick(3).tick(2, red=["p0_latency"])
    assert lost(drive) == "left broken by an earlier trial at full load: p0_latency"


def test_an_immune_trial_proves_what_it_was_to_break() -> None:
    drive = Drive(plan()).to_disturbed().load_applied().tick(30).load_applied()
    assert drive.index == 1
    drive.to_full_load().tick(3).tick(2, red=[LOST])
    assert lost(drive) == "regression at full load: lost_tokens (p0)"


def test_an_inconclusive_trial_proves_nothing() -> None:
    drive = Drive(plan()).to_full_load().tick(60, blind=True).load_applied()
    assert drive.index == 1
    drive.to_full_load().tick(3).tick(2, red=["p0_latency"])
    assert lost(drive) == "newly violated at full load: p0_latency"


def test_trials_in_isolation_break_nothing_of_each_other() -> None:
    drive = second_trial(mode="isolated").to_full_load().tick(3).tick(2, red=["p0_latency"])
    assert lost(drive) == "newly violated at full load: p0_latency"


def test_the_last_trial_that_tested_it_is_the_one_that_is_named() -> None:
    made = plan()
    both = replace(made.profiles[1], breaks=("p1_latency", LOST))
    profiles = (made.profiles[0], both, made.profiles[2])
    drive = Drive(replace(made, profiles=profiles)).to_second_trial().to_second_trial()
    assert drive.index == 2
    drive.to_full_load().tick(3).tick(2, red=[LOST])
    assert lost(drive) == "regression at full load: lost_tokens (p1)"
