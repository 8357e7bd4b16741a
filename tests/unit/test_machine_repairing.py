"""A ticket is open: sessions, their budgets and their deployments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.model import (
    ActionTaken,
    Budget,
    CancelSession,
    CommandFailed,
    Inconclusive,
    Resolved,
    SessionOutcome,
    Spend,
    Unresolved,
)
from campaign.testing import make_plan
from tests.machine_kit import Drive


def repairing(wall_s: float = 1800.0) -> Drive:
    return Drive(replace(make_plan(2), budget=Budget(wall_s=wall_s))).to_repairing()


def test_the_load_stays_on_while_somebody_works() -> None:
    drive = repairing()
    assert drive.campaign.load == drive.campaign.full_load
    assert drive.tick(60, red=["p0_latency"]).phase == "repairing"


def test_the_first_action_the_first_edit_and_the_resolve_are_on_record() -> None:
    drive = repairing()
    look = ActionTaken(
        at=drive.at + 1,
        trial=0,
        ticket="T001",
        session=1,
        tool="shell",
        arguments={},
        result="",
        is_error=False,
        duration_s=0.1,
    )
    drive.send(look).send(replace(look, at=drive.at + 2, edit=True))
    drive.send(replace(look, at=drive.at + 3, edit=True)).skip(4).resolve()
    began = drive.at - 4
    assert drive.trial.first_action_at == began + 1
    assert drive.trial.first_edit_at == began + 2
    assert drive.trial.resolved_at == began + 4
    assert drive.trial.root_cause == "found it"


def test_the_worst_reading_is_kept_beside_the_last() -> None:
    drive = repairing().tick(3, red=["p0_latency"]).tick(3)
    assert [reading.value for reading in drive.trial.worst] == [0.8]


def test_a_spent_wall_time_ends_the_session_and_the_app_is_judged_as_it_is() -> None:
    drive = repairing(wall_s=20.0).deploy().tick(25)
    assert drive.phase == "recovering"
    assert drive.commands == (CancelSession(trial=0, ticket="T001", session=1),)
    assert drive.trial.session_end == "budget spent (wall time: 20 s)"
    drive.tick(10)
    assert drive.phase == "confirming"


def test_a_spent_wall_time_with_a_broken_app_is_unresolved_with_that_reason() -> None:
    drive = repairing(wall_s=20.0).tick(25, red=["p0_latency"]).tick(90, red=["p0_latency"])
    assert drive.trial.verdict == Unresolved(
        reason="did not recover: p0_latency; the operator: budget spent (wall time: 20 s)"
    )


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (SessionOutcome.GAVE_UP, "gave up"),
        (SessionOutcome.BUDGET_SPENT, "budget spent"),
        (SessionOutcome.FAILED, "failed"),
    ],
)
def test_an_operator_that_leaves_without_resolving_is_named_in_the_verdict(
    outcome: SessionOutcome, said: str
) -> None:
    drive = repairing().end_session(outcome).tick(90, red=["p0_latency"])
    assert drive.trial.verdict == Unresolved(
        reason=f"did not recover: p0_latency; the operator: {said}"
    )


def test_a_ticket_resolved_without_a_deployment_is_confirmed_and_counted_apart() -> None:
    drive = repairing().tick(20).resolve().end_session()
    resolved_at = drive.at
    drive.tick(10)
    assert drive.phase == "confirming"
    assert drive.trial.first_green_at is not None
    assert drive.trial.first_green_at > resolved_at
    drive.load_applied().tick(6).tick(1).load_applied().tick(30).pass_gates()
    assert drive.trial.verdict == Resolved(without_deployment=True)


def test_a_ticket_resolved_while_the_app_is_red_is_lost() -> None:
    drive = repairing().resolve().end_session().tick(90, red=["p0_latency"])
    assert drive.trial.verdict == Unresolved(reason="did not recover: p0_latency")


def test_a_failed_deployment_mends_nothing() -> None:
    drive = repairing().deploy(ok=False).resolve().end_session()
    assert drive.campaign.revision == "r0"
    assert drive.trial.deployments[0].ok is False
    assert drive.trial.last_deployed_at is None


def test_what_a_session_cost_is_on_record_at_its_end() -> None:
    drive = repairing().end_session(spend=Spend(turns=2, tokens=None, usd=0.5))
    assert drive.trial.spend == Spend(turns=2, tokens=None, usd=0.5)


def test_a_session_that_is_over_can_do_nothing_more() -> None:
    drive = repairing().resolve().end_session()
    before = drive.campaign
    drive.resolve().request_deployment("late").end_session()
    assert drive.campaign == before


def test_a_session_on_another_ticket_can_do_nothing() -> None:
    drive = repairing()
    stray = ActionTaken(
        at=drive.at,
        trial=0,
        ticket="T002",
        session=1,
        tool="shell",
        arguments={},
        result="",
        is_error=False,
        duration_s=0.1,
        edit=True,
    )
    drive.send(stray).send(replace(stray, ticket="T001", session=2))
    assert drive.trial.first_action_at is None


def test_a_deployment_in_the_background_is_waited_for_after_the_resolve() -> None:
    drive = repairing().request_deployment().resolve().end_session().tick(120)
    assert drive.phase == "recovering"
    deployed_at = drive.finish_deployment().at
    assert drive.tick(6).phase == "recovering"
    assert drive.tick().phase == "confirming"
    assert drive.trial.first_green_at == deployed_at + 1


def test_a_deployment_is_waited_for_after_the_budget_is_spent() -> None:
    drive = repairing(wall_s=5.0).request_deployment().tick(10).tick(100)
    assert drive.phase == "recovering"
    assert drive.finish_deployment().tick(10).phase == "confirming"


def test_an_app_that_is_deployed_during_the_confirmation_must_recover_again() -> None:
    drive = Drive().to_confirming().load_applied().tick(3)
    drive.finish_deployment("behind-our-back", revision="r9")
    assert drive.phase == "recovering"
    assert drive.campaign.load == drive.campaign.full_load
    assert drive.trial.last_deployed_at == drive.at
    assert drive.tick(6).phase == "recovering"
    assert drive.tick().phase == "confirming"


def test_an_answer_that_comes_twice_changes_nothing() -> None:
    drive = repairing().deploy("d1", revision="r1").deploy("d2", revision="r2")
    before = drive.campaign
    drive.finish_deployment("d1", revision="r1")
    assert drive.campaign == before
    assert drive.campaign.revision == "r2"


def test_a_deployment_that_ends_in_the_next_trial_belongs_to_the_last_one() -> None:
    drive = Drive().to_second_trial()
    drive.finish_deployment("slow", revision="r9", trial=0)
    assert [each.id for each in drive.campaign.done[0].deployments] == ["d1", "slow"]
    assert drive.trial.deployments == ()
    assert drive.campaign.revision == "r9"


def test_the_next_trial_waits_for_a_deployment_of_this_one() -> None:
    drive = repairing().request_deployment()
    drive.send(CommandFailed(at=drive.at, trial=0, command="session", component="api", reason="x"))
    assert isinstance(drive.trial.verdict, Inconclusive)
    assert drive.load_applied().phase == "healing"
    assert drive.finish_deployment().phase == "baseline"
    assert drive.index == 1


def test_a_deployment_nobody_knows_the_end_of_is_no_success_and_not_waited_for() -> None:
    drive = repairing().request_deployment().resolve().end_session()
    unsettled = CommandFailed(
        at=drive.at, trial=0, command="settle_deployments", component="supervisor", reason="gone"
    )
    drive.send(unsettled)
    assert drive.trial.verdict == Inconclusive(fault="supervisor", reason="gone")
    assert drive.trial.deployments[0].reason == "outcome unknown: gone"
    assert drive.load_applied().index == 1
