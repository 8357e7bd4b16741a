"""Faults of the harness are inconclusive, never the operator's, and late replies are ignored."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from campaign.model import (
    ApplyLoad,
    CancelSession,
    CloseTrial,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    DataGrown,
    Evaluated,
    Finished,
    Inconclusive,
    SessionEnded,
    SessionOutcome,
    StackFailed,
    StackReady,
)
from campaign.testing import CALIBRATION
from tests.machine_kit import Drive

Way = Callable[[Drive], Drive]
FROM_GROWTH_TO_VERDICT: tuple[Way, ...] = (
    Drive.to_growing,
    Drive.to_disturbed,
    Drive.to_repairing,
    Drive.to_recovering,
    Drive.to_confirming,
    Drive.to_full_load,
    Drive.to_gates,
)


def down(drive: Drive, component: str = "postgres") -> ComponentDown:
    return ComponentDown(at=drive.at, trial=drive.index, component=component, reason="exited")


def failed(drive: Drive, command: str = "apply_load") -> CommandFailed:
    return CommandFailed(
        at=drive.at, trial=drive.index, command=command, component="loadgen", reason="refused"
    )


@pytest.mark.parametrize("way", FROM_GROWTH_TO_VERDICT)
def test_a_part_that_goes_down_between_growth_and_verdict_spoils_the_trial(way: Way) -> None:
    drive = way(Drive())
    drive.send(down(drive))
    assert drive.trial.verdict == Inconclusive(fault="postgres", reason="exited")
    assert [fault.component for fault in drive.trial.faults] == ["postgres"]
    assert drive.phase == "healing"


@pytest.mark.parametrize("way", FROM_GROWTH_TO_VERDICT)
def test_a_command_that_fails_spoils_the_trial(way: Way) -> None:
    drive = way(Drive())
    drive.send(failed(drive))
    assert drive.trial.verdict == Inconclusive(fault="loadgen", reason="refused")


def test_a_session_at_work_is_cancelled_when_its_trial_is_spoilt() -> None:
    drive = Drive().to_repairing()
    drive.send(down(drive))
    assert drive.commands == (
        CancelSession(trial=0, ticket="T001", session=1),
        ApplyLoad(id="t0-heal", trial=0, load=drive.plan.base_load),
        CloseTrial(trial=0),
    )


def test_a_fault_at_baseline_is_noted_and_the_baseline_waited_for_afresh() -> None:
    drive = Drive().to_baseline().load_applied().tick(25, red=["canary"])
    drive.send(down(drive)).tick(29, red=["canary"])
    assert drive.phase == "baseline"
    assert [fault.component for fault in drive.trial.faults] == ["postgres"]
    assert drive.tick(7).phase == "growing"


def test_a_part_that_keeps_failing_is_not_waited_for_for_ever() -> None:
    drive = Drive().to_baseline()
    for _ in range(20):
        drive.send(failed(drive)).tick(5)
    assert drive.trial.verdict == Inconclusive(fault="loadgen", reason="refused")


def test_a_generator_that_refuses_does_not_burn_through_the_trials_at_once() -> None:
    drive = Drive().to_second_trial()
    drive.send(failed(drive)).tick(29)
    assert (drive.index, drive.phase) == (1, "baseline")


def test_a_generator_that_was_restarted_is_told_again_what_to_offer() -> None:
    drive = Drive().to_baseline().load_applied()
    drive.send(down(drive, "loadgen"))
    drive.send(ComponentUp(at=drive.at, trial=0, component="loadgen"))
    assert drive.commands == (ApplyLoad(id="t0-baseline", trial=0, load=drive.plan.base_load),)


def test_a_fault_reported_for_the_last_trial_is_true_of_this_one_too() -> None:
    drive = Drive().to_second_trial().to_disturbed()
    drive.send(ComponentDown(at=drive.at, trial=0, component="prometheus", reason="exited"))
    assert isinstance(drive.trial.verdict, Inconclusive)


def test_a_load_that_cannot_be_healed_does_not_hold_up_the_campaign() -> None:
    drive = Drive().to_healing()
    drive.send(failed(drive))
    assert (drive.index, drive.phase) == (1, "baseline")


def test_an_ended_sessions_late_failure_is_ignored() -> None:
    drive = Drive().to_recovering()
    drive.send(failed(drive, "session"))
    assert drive.phase == "recovering"


def test_a_stack_that_never_came_up_ends_the_campaign() -> None:
    drive = Drive()
    drive.send(StackFailed(at=drive.at, trial=0, component="postgres", reason="not found"))
    assert drive.campaign.phase == Finished(at=drive.at, failure="postgres: not found")


def test_finished_is_final() -> None:
    drive = Drive().to_second_trial().to_healing().load_applied()
    assert drive.phase == "finished"
    assert [record.index for record in drive.campaign.done] == [0, 1]
    before = drive.campaign.phase
    drive.send(down(drive)).tick(3).load_applied("t1-heal")
    assert (drive.campaign.phase, drive.commands) == (before, ())


def test_replies_of_a_trial_that_is_over_are_ignored() -> None:
    drive = Drive().to_second_trial()
    before = drive.campaign
    at = drive.at
    late = (
        DataGrown(at=at, trial=0, rows=1, duration_s=1.0),
        Evaluated(at=at, trial=0),
        CommandFailed(at=at, trial=0, command="apply_load", component="loadgen", reason="x"),
        SessionEnded(at=at, trial=0, ticket="T001", session=1, outcome=SessionOutcome.RESOLVED),
        StackReady(
            at=at,
            trial=0,
            revision="other",
            invariants=(),
            calibration=CALIBRATION,
        ),
    )
    for event in late:
        drive.send(event)
        assert (drive.campaign, drive.commands) == (before, ())


def test_a_load_of_an_earlier_phase_is_ignored() -> None:
    drive = Drive().to_disturbed().load_applied("t0-baseline")
    assert drive.trial.full_load_at is None


def test_a_stack_that_says_twice_it_is_ready_is_heard_once() -> None:
    drive = Drive().to_baseline()
    before = drive.campaign
    assert drive.stack_ready("other").campaign == before
