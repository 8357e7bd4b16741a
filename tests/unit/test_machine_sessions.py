"""What a session tells beside its tools' calls, and what an operator that is away means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.model import (
    AccessRefused,
    ActionTaken,
    ApplyLoad,
    ApprovalAnswered,
    ApprovalAsked,
    Budget,
    Event,
    MessageSent,
    NoteWritten,
    PlanFiled,
    Resolved,
    Resumed,
    SessionOutcome,
    Spend,
    StartSession,
    StopRequested,
    TicketAcknowledged,
    TicketResolved,
)
from campaign.testing import make_plan
from tests.machine_kit import Drive

WHOSE = {"trial": 0, "ticket": "T001", "session": 1}


def repairing(budget: Budget | None = None) -> Drive:
    return Drive(replace(make_plan(2), budget=budget or Budget())).to_repairing()


def call_of(tool: str, at: float) -> ActionTaken:
    return ActionTaken(
        at=at,
        trial=0,
        ticket="T001",
        session=1,
        tool=tool,
        arguments={},
        result="",
        is_error=False,
        duration_s=0.1,
    )


def words(at: float) -> tuple[Event, ...]:
    whose = {"at": at, **WHOSE}
    return (
        PlanFiled(plan="look, then mend", **whose),  # type: ignore[arg-type]
        NoteWritten(text="it was the index", **whose),  # type: ignore[arg-type]
        MessageSent(text="hurry", **whose),  # type: ignore[arg-type]
        ApprovalAsked(approval="a1", tool="deploy", arguments={}, **whose),  # type: ignore[arg-type]
        ApprovalAnswered(approval="a1", granted=True, **whose),  # type: ignore[arg-type]
        AccessRefused(what="connect to 127.0.0.1:9090", **whose),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("event", words(2_000.0), ids=lambda event: event.kind)
def test_what_is_only_said_is_journaled_and_changes_nothing(event: Event) -> None:
    drive = repairing()
    before = drive.campaign
    drive.send(replace(event, at=drive.at))
    assert drive.campaign == before
    assert drive.commands == ()


def test_the_first_acknowledgement_is_on_record_and_is_no_action() -> None:
    drive = repairing()
    for delay in (1.0, 2.0):
        drive.send(
            TicketAcknowledged(at=drive.at + delay, trial=0, ticket="T001", session=1, message="")
        )
    assert drive.trial.acknowledged_at == drive.at + 1
    assert drive.trial.first_action_at is None


@pytest.mark.parametrize("tool", ["read_ticket", "acknowledge", "file_plan", "write_note"])
def test_calls_that_concern_the_ticket_alone_are_no_first_action(tool: str) -> None:
    drive = repairing().send(call_of(tool, at=1_100.0)).send(call_of("read_logs", at=1_200.0))
    assert drive.trial.first_action_at == 1_200.0


def test_the_places_of_the_root_cause_are_on_record() -> None:
    drive = repairing()
    places = ("app/db.py", "app/models.py:list_messages")
    drive.send(
        TicketResolved(
            at=drive.at, trial=0, ticket="T001", session=1, root_cause="no index", places=places
        )
    )
    assert (drive.trial.root_cause, drive.trial.places) == ("no index", places)


# -- an operator that cannot be reached ---------------------------------------------------------


def away(budget: Budget | None = None) -> Drive:
    drive = repairing(budget).tick(10)
    return drive.end_session(
        SessionOutcome.UNAVAILABLE, reason="the provider is overloaded", spend=Spend(turns=2)
    )


def test_an_operator_that_cannot_be_reached_stops_the_campaign_and_loses_no_trial() -> None:
    drive = away()
    assert drive.campaign.stopped
    assert drive.campaign.operator_away
    assert drive.campaign.trouble == "the provider is overloaded"
    assert (drive.phase, drive.trial.verdict, drive.trial.session_end) == ("repairing", None, "")
    assert drive.commands == ()


def test_its_ticket_waits_for_a_fresh_session_with_the_time_that_was_left() -> None:
    drive = away(Budget(wall_s=100.0, turns=10)).skip(3 * 3600)
    drive.send(Resumed(at=drive.at)).skip(20).stack_ready()
    (load,) = drive.commands
    assert isinstance(load, ApplyLoad)
    (start,) = drive.load_applied().commands
    assert isinstance(start, StartSession)
    assert (start.ticket.id, start.session) == ("T001", 2)
    assert start.budget == Budget(wall_s=90.0, turns=8)
    assert not drive.campaign.stopped
    assert (drive.campaign.trouble, drive.campaign.operator_away) == ("", False)
    drive.deploy().resolve().end_session().tick(10)
    assert drive.phase == "confirming"


def test_it_can_be_away_again_and_again() -> None:
    drive = away()
    for _ in range(3):
        drive.skip(600).send(Resumed(at=drive.at)).stack_ready().load_applied().tick(5)
        drive.end_session(SessionOutcome.UNAVAILABLE)
        assert drive.campaign.trouble == "it did not say why"
    assert drive.trial.sessions == 4
    drive.skip(600).send(Resumed(at=drive.at)).stack_ready().load_applied()
    drive.deploy().resolve().end_session()
    drive.tick(10).load_applied().tick(6).tick(1).load_applied().tick(30).pass_gates()
    assert drive.trial.verdict == Resolved()


def test_a_ticket_that_was_resolved_is_judged_whoever_is_away_afterwards() -> None:
    drive = repairing().deploy().resolve().end_session(SessionOutcome.UNAVAILABLE)
    assert (drive.phase, drive.campaign.stopped) == ("recovering", False)


def test_a_session_that_is_over_can_stop_nothing() -> None:
    drive = repairing(Budget(wall_s=5.0)).tick(10)
    assert drive.phase == "recovering"
    assert not drive.end_session(SessionOutcome.UNAVAILABLE).campaign.stopped


def test_the_same_is_folded_from_the_journal() -> None:
    drive = away().skip(60)
    drive.send(StopRequested(at=drive.at)).send(Resumed(at=drive.at)).stack_ready()
    assert drive.refolded() == drive.campaign
