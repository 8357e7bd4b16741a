"""The gates: what they make of a trial that was confirmed, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.model import (
    ApplyLoad,
    AssertionResult,
    AssertionState,
    CancelGates,
    CloseTrial,
    CommandFailed,
    ComponentDown,
    Evaluated,
    Immune,
    Inconclusive,
    Plan,
    Resolved,
    Resumed,
    RunGates,
    SessionOutcome,
    StopRequested,
    Unresolved,
)
from campaign.testing import ALL_WELL, finding, make_plan
from campaign.testing.world import make_invariant
from tests.machine_kit import Drive

HEALTHY = finding("functional", "healthy")
SICK = finding("functional", "healthy", AssertionState.FAIL, "GET /healthz answered 500")
LOST = finding("correct", "no_write_is_lost", AssertionState.FAIL, "2 of 40 are gone")
BROKEN_PROBE = finding("correct", "pages", AssertionState.ERROR, "TypeError('oops')")
NOT_ASKED = finding("correct", "pages", AssertionState.BLOCKED, "not asked: healthy came first")
NOTHING_TO_SEE = finding("correct", "pages", AssertionState.SKIPPED, "the app has no such list")


def with_a_correctness_invariant() -> Plan:
    plan = make_plan(2)
    lost_tokens = replace(make_invariant("lost_tokens"), kind="correctness")
    return replace(plan, invariants=(*plan.invariants, lost_tokens))


def judged_by(*results: AssertionResult) -> Drive:
    return Drive().to_gates().gates_finished(*results)


def test_the_gates_run_under_base_load_once_it_is_on() -> None:
    drive = Drive().to_auditing()
    base = drive.plan.base_load
    assert drive.phase == "auditing"
    assert drive.commands == (ApplyLoad(id="t0-audit", trial=0, load=base),)
    assert drive.load_applied().commands == (RunGates(id="t0-audit-1", trial=0),)


def test_a_load_that_is_applied_again_does_not_begin_the_gates_again() -> None:
    assert Drive().to_gates().load_applied().commands == ()


def test_all_assertions_that_pass_resolve_the_trial_and_stay_on_record() -> None:
    drive = judged_by(*ALL_WELL)
    assert drive.trial.verdict == Resolved()
    assert drive.trial.assertions == ALL_WELL
    assert [type(command) for command in drive.commands] == [ApplyLoad, CloseTrial]


def test_a_skipped_assertion_is_on_record_and_decides_nothing() -> None:
    drive = judged_by(HEALTHY, NOTHING_TO_SEE)
    assert drive.trial.verdict == Resolved()
    assert drive.trial.assertions == (HEALTHY, NOTHING_TO_SEE)


def test_every_assertion_that_failed_is_named() -> None:
    assert judged_by(SICK, LOST, NOT_ASKED).trial.verdict == Unresolved(
        reason="functional gate: healthy: GET /healthz answered 500; "
        "correct gate: no_write_is_lost: 2 of 40 are gone"
    )


def test_a_failure_outweighs_what_could_not_be_judged() -> None:
    assert isinstance(judged_by(LOST, BROKEN_PROBE).trial.verdict, Unresolved)


def test_what_the_harness_could_not_judge_is_never_a_pass() -> None:
    verdict = Inconclusive(fault="gates", reason="correct gate: pages: TypeError('oops')")
    assert judged_by(HEALTHY, BROKEN_PROBE).trial.verdict == verdict


def test_an_assertion_that_was_blocked_by_nothing_is_never_a_pass() -> None:
    assert isinstance(judged_by(HEALTHY, NOT_ASKED).trial.verdict, Inconclusive)


def test_gates_that_assert_nothing_prove_nothing() -> None:
    verdict = Inconclusive(fault="gates", reason="they asserted nothing")
    assert judged_by().trial.verdict == verdict


def test_a_gate_that_only_grades_does_not_decide() -> None:
    graded = finding("robust", "survives_a_restart", AssertionState.FAIL, "it did not")
    assert judged_by(HEALTHY, graded).trial.verdict == Resolved()


def test_a_ticket_that_was_closed_without_a_deployment_has_to_pass_the_gates_too() -> None:
    drive = Drive().to_repairing().resolve().end_session().tick(10).load_applied().tick(7)
    drive.load_applied().tick(30)
    assert drive.phase == "auditing"
    assert drive.pass_gates().trial.verdict == Resolved(without_deployment=True)


def test_a_session_that_gave_up_is_named_beside_the_assertion_that_failed() -> None:
    drive = Drive().to_repairing().deploy().end_session(SessionOutcome.GAVE_UP)
    drive.tick(10).load_applied().tick(7)
    drive.load_applied().tick(30).load_applied().gates_finished(SICK)
    assert drive.trial.verdict == Unresolved(
        reason="functional gate: healthy: GET /healthz answered 500; the operator: gave up"
    )


def test_an_immune_trial_needs_no_gates() -> None:
    drive = Drive().to_disturbed().load_applied().tick(30)
    assert isinstance(drive.trial.verdict, Immune)
    assert (drive.trial.audits, drive.trial.assertions) == (0, ())


def test_an_assertion_counts_once() -> None:
    drive = Drive().to_gates().judged(HEALTHY, SICK, HEALTHY)
    assert drive.trial.assertions == (HEALTHY,)


def test_the_time_to_repair_and_the_last_readings_are_those_from_before_the_gates() -> None:
    drive = Drive().to_auditing()
    repaired_s, readings = drive.trial.time_to_repair_s, drive.campaign.readings
    drive.load_applied().tick(9, idle=["p0_latency"]).gates_finished(*ALL_WELL)
    assert drive.trial.time_to_repair_s == repaired_s
    assert drive.trial.after == readings


# -- gates that do not end well -----------------------------------------------------------------


def test_gates_that_say_nothing_for_too_long_are_overdue() -> None:
    drive = Drive().to_gates().tick(15).judged(HEALTHY).tick(18)
    assert drive.phase == "auditing"
    assert drive.tick().trial.verdict == Inconclusive(
        fault="gates", reason="they said nothing for more than 18 s"
    )
    assert drive.commands[0] == CancelGates(id="t0-audit-1", trial=0)


def test_gates_that_never_begin_are_overdue_because_of_the_load() -> None:
    drive = Drive().to_auditing().tick(19)
    assert drive.trial.verdict == Inconclusive(
        fault="loadgen", reason="the base load was never applied"
    )
    assert not [command for command in drive.commands if isinstance(command, CancelGates)]


def test_gates_that_break_are_the_harnesss_fault() -> None:
    drive = Drive().to_gates().judged(HEALTHY)
    drive.send(
        CommandFailed(
            at=drive.at, trial=0, command="run_gates", component="gates", reason="KeyError()"
        )
    )
    assert drive.trial.verdict == Inconclusive(fault="gates", reason="KeyError()")


def test_a_component_that_dies_ends_the_gates() -> None:
    drive = Drive().to_gates().judged(SICK)
    drive.send(ComponentDown(at=drive.at, trial=0, component="postgres", reason="exited"))
    assert drive.trial.verdict == Inconclusive(fault="postgres", reason="exited")
    assert drive.commands[0] == CancelGates(id="t0-audit-1", trial=0)


def test_a_session_that_broke_after_it_had_ended_does_not_touch_the_gates() -> None:
    drive = Drive().to_gates()
    drive.send(CommandFailed(at=drive.at, trial=0, command="session", component="x", reason="late"))
    assert drive.phase == "auditing"


# -- more than one audit ------------------------------------------------------------------------


def test_after_a_crash_the_gates_run_again_and_find_everything_anew() -> None:
    drive = Drive().to_gates().judged(SICK)
    drive.send(Resumed(at=drive.at)).stack_ready("r1")
    assert drive.trial.assertions == ()
    assert drive.load_applied().commands == (RunGates(id="t0-audit-2", trial=0),)
    assert drive.gates_finished(*ALL_WELL).trial.verdict == Resolved()
    assert drive.trial.audits == 2


def test_results_of_an_older_audit_are_ignored() -> None:
    drive = Drive().to_gates()
    drive.send(Resumed(at=drive.at)).stack_ready("r1").load_applied()
    drive.gates_finished(SICK, audit="t0-audit-1")
    assert (drive.phase, drive.trial.assertions) == ("auditing", ())


def test_results_that_come_before_the_gates_began_are_ignored() -> None:
    drive = Drive().to_auditing().gates_finished(SICK)
    assert (drive.phase, drive.trial.assertions) == ("auditing", ())


def test_results_that_come_while_the_campaign_is_stopped_are_ignored() -> None:
    drive = Drive().to_gates().send(StopRequested(at=0.0)).gates_finished(*ALL_WELL)
    assert (drive.trial.verdict, drive.trial.assertions) == (None, ())


def test_a_deployment_that_ends_late_makes_the_gates_worthless() -> None:
    drive = Drive().to_gates().judged(HEALTHY).finish_deployment("late", revision="r9")
    full = drive.campaign.full_load
    assert drive.phase == "recovering"
    assert drive.commands == (
        CancelGates(id="t0-audit-1", trial=0),
        ApplyLoad(id="t0-recover", trial=0, load=full),
    )
    assert (drive.trial.assertions, drive.trial.confirmed_at) == ((), None)
    drive.send(
        CommandFailed(at=drive.at, trial=0, command="run_gates", component="gates", reason="late")
    )
    assert drive.phase == "recovering"
    drive.tick(10).load_applied().tick(7)
    drive.load_applied().tick(30)
    assert drive.load_applied().commands == (RunGates(id="t0-audit-2", trial=0),)


def test_a_deployment_that_failed_late_changes_nothing() -> None:
    assert Drive().to_gates().finish_deployment("late", ok=False).phase == "auditing"


# -- correctness while the gates are at work ----------------------------------------------------


def test_correctness_that_is_lost_while_the_gates_run_is_lost() -> None:
    drive = Drive(with_a_correctness_invariant()).to_gates()
    drive.tick(3).tick(2, red=["lost_tokens"]).tick(3).gates_finished(*ALL_WELL)
    assert drive.trial.verdict == Unresolved(reason="regression during the gates: lost_tokens")


def test_a_crash_does_not_make_lost_correctness_forgotten() -> None:
    drive = Drive(with_a_correctness_invariant()).to_gates()
    drive.tick(3).tick(2, red=["lost_tokens"]).send(Resumed(at=drive.at)).stack_ready("r1")
    drive.pass_gates()
    assert drive.trial.verdict == Unresolved(reason="regression during the gates: lost_tokens")


def test_both_the_assertions_and_the_invariants_that_failed_are_named() -> None:
    drive = Drive(with_a_correctness_invariant()).to_gates()
    drive.tick(3).tick(2, red=["lost_tokens"]).gates_finished(SICK)
    assert drive.trial.verdict == Unresolved(
        reason="functional gate: healthy: GET /healthz answered 500; "
        "regression during the gates: lost_tokens"
    )


@pytest.mark.parametrize("red", [["canary"], ["p0_latency"]])
def test_latency_is_not_judged_while_the_gates_add_requests_of_their_own(red: list[str]) -> None:
    drive = Drive(with_a_correctness_invariant()).to_gates().tick(9, red=red)
    assert drive.gates_finished(*ALL_WELL).trial.verdict == Resolved()


def test_a_single_evaluation_is_not_held_against_anybody() -> None:
    drive = Drive(with_a_correctness_invariant()).to_gates().tick(3)
    drive.tick(1, red=["lost_tokens"]).tick(1).tick(1, red=["lost_tokens"])
    assert drive.gates_finished(*ALL_WELL).trial.verdict == Resolved()


def test_two_violations_with_a_hole_between_them_do_not_follow_each_other() -> None:
    drive = Drive(with_a_correctness_invariant()).to_gates().tick(3)
    drive.tick(1, red=["lost_tokens"]).skip(5.0).tick(1, red=["lost_tokens"])
    assert drive.gates_finished(*ALL_WELL).trial.verdict == Resolved()


def test_a_look_older_than_the_last_does_not_make_the_gates_overdue_or_young() -> None:
    drive = Drive().to_gates().tick(17)
    drive.send(Evaluated(at=drive.at - 10.0, trial=0))
    assert drive.tick().phase == "auditing"
    assert drive.tick().phase == "healing"
