from __future__ import annotations

from typing import Any

from operators.replaying import RecordedCall, RecordedEdit
from operators.toolbox.calls import JOURNALED_CHARS

from campaign.model import (
    ActionTaken,
    Assignment,
    Budget,
    CampaignStarted,
    Event,
    SessionEnded,
    SessionOutcome,
    Ticket,
)
from campaign.replayed_sessions import recorded_sessions, replay_book
from campaign.testing import make_plan

PLAN = make_plan(3)
STARTED = CampaignStarted(at=0.0, plan=PLAN)
DIFF = "--- a/x\n+++ b/x\n"


def action(tool: str, *, trial: int = 1, session: int = 1, **more: Any) -> ActionTaken:
    fields: dict[str, Any] = {
        "at": 1.0,
        "trial": trial,
        "ticket": f"T{trial + 1:03d}",
        "session": session,
        "tool": tool,
        "arguments": {},
        "result": "",
        "is_error": False,
        "duration_s": 0.1,
    }
    return ActionTaken(**(fields | more))


def assignment(trial: int) -> Assignment:
    ticket = Ticket(id="T001", opened_at=0.0, symptoms=(), offered_hz=1.0, users=1)
    return Assignment(trial=trial, ticket=ticket, session=1, budget=Budget())


def test_edits_and_deeds_of_all_sessions_are_kept_and_looking_around_is_not() -> None:
    events: list[Event] = [
        STARTED,
        action("read_logs"),
        action("bash", edit=True, diff=DIFF, arguments={"command": "sed"}),
        action("bash", arguments={"command": "ls"}),
        action("deploy", is_error=True, arguments={"message": "one"}),
        action("deploy", session=2, arguments={"message": "two"}),
        action("resolve", trial=2, arguments={"root_cause": "another ticket"}),
        action("resolve", session=2, arguments={"root_cause": "it"}),
        SessionEnded(
            at=2.0, trial=1, ticket="T002", session=2, outcome=SessionOutcome.RESOLVED, reason=""
        ),
    ]
    ticket = recorded_sessions(events)[PLAN.profiles[1].id]
    assert ticket.ticket == "T002"
    assert ticket.ended == "resolved"
    assert ticket.steps == (
        RecordedEdit(tool="bash", arguments={"command": "sed"}, diff=DIFF),
        RecordedCall(tool="deploy", arguments={"message": "one"}, failed=True),
        RecordedCall(tool="deploy", arguments={"message": "two"}),
        RecordedCall(tool="resolve", arguments={"root_cause": "it"}),
    )


def test_what_was_too_long_to_be_kept_is_known_to_be_cut() -> None:
    long = "x" * (JOURNALED_CHARS + 30)
    events: list[Event] = [
        STARTED,
        action("bash", edit=True, diff=long, arguments={"command": long}),
    ]
    (step,) = recorded_sessions(events)[PLAN.profiles[1].id].steps
    assert isinstance(step, RecordedEdit)
    assert (step.arguments_cut, step.diff_cut) == (True, True)


def test_a_diff_that_was_cut_where_it_was_made_is_known_to_be_cut() -> None:
    """The editor's tool cuts sooner than the journal does."""
    events: list[Event] = [STARTED, action("bash", edit=True, diff=DIFF, diff_cut=True)]
    (step,) = recorded_sessions(events)[PLAN.profiles[1].id].steps
    assert isinstance(step, RecordedEdit)
    assert (step.arguments_cut, step.diff_cut) == (False, True)


def test_an_older_journal_keeps_a_patch_as_an_argument_only() -> None:
    events: list[Event] = [STARTED, action("apply_patch", edit=True, arguments={"patch": DIFF})]
    (step,) = recorded_sessions(events)[PLAN.profiles[1].id].steps
    assert isinstance(step, RecordedEdit)
    assert step.diff == DIFF


def test_a_trial_is_found_by_its_profile_wherever_it_stands_in_the_ladder() -> None:
    events: list[Event] = [STARTED, action("resolve", arguments={"root_cause": "it"})]
    book = replay_book(recorded_sessions(events), make_plan(2))
    found = book(assignment(1))
    assert found is not None
    assert found.steps
    assert book(assignment(0)) is None


def test_a_journal_that_never_began_holds_nothing() -> None:
    assert recorded_sessions([]) == {}
    assert recorded_sessions([STARTED]) == {}
