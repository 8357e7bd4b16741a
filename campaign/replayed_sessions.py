"""What the sessions of a recorded campaign did, for an operator that does it again.

Pure: events in, recorded tickets out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from operators.replaying import (
    RecordedCall,
    RecordedEdit,
    RecordedStep,
    RecordedTicket,
    ReplayBook,
)
from operators.toolbox.calls import JOURNALED_CHARS

from campaign.model import (
    ActionTaken,
    Assignment,
    CampaignStarted,
    Event,
    Plan,
    SessionEnded,
)

#: what is said and done besides edits; looking around is not repeated
_DEEDS = frozenset({"acknowledge", "deploy", "file_plan", "resolve", "write_note"})
_EDITOR = "str_replace_based_edit_tool"


def recorded_sessions(events: Sequence[Event]) -> Mapping[str, RecordedTicket]:
    """By the profile of the ticket's trial: all that was done on it, in every session.

    Of the tickets of one profile (a replayed or repeated trial) the last one counts.
    """
    plan = next((event.plan for event in events if isinstance(event, CampaignStarted)), None)
    if plan is None:
        return {}
    tickets = dict.fromkeys(
        (event.trial, event.ticket)
        for event in events
        if isinstance(event, ActionTaken | SessionEnded) and event.trial < len(plan.profiles)
    )
    return {plan.profiles[trial].id: _ticket(events, trial, ticket) for trial, ticket in tickets}


def replay_book(recorded: Mapping[str, RecordedTicket], plan: Plan) -> ReplayBook:
    """For a campaign with this plan: a trial's ticket is that of the same profile then."""

    def book(assignment: Assignment) -> RecordedTicket | None:
        return recorded.get(plan.profiles[assignment.trial].id)

    return book


def _ticket(events: Sequence[Event], trial: int, ticket: str) -> RecordedTicket:
    ended = ""
    for event in events:
        if isinstance(event, SessionEnded) and (event.trial, event.ticket) == (trial, ticket):
            ended = f"{event.outcome}: {event.reason}" if event.reason else str(event.outcome)
    return RecordedTicket(ticket=ticket, steps=tuple(_steps(events, trial, ticket)), ended=ended)


def _steps(events: Sequence[Event], trial: int, ticket: str) -> Iterator[RecordedStep]:
    for event in events:
        if not isinstance(event, ActionTaken) or (event.trial, event.ticket) != (trial, ticket):
            continue
        if event.tool in _DEEDS:
            yield RecordedCall(tool=event.tool, arguments=event.arguments, failed=event.is_error)
        elif event.edit:
            yield _edit(event)


def _edit(event: ActionTaken) -> RecordedEdit:
    diff = event.diff
    if not diff and event.tool == "apply_patch":  # before journals kept what a call changed
        diff = str(event.arguments.get("patch", ""))
    return RecordedEdit(
        tool=event.tool,
        arguments=event.arguments,
        diff=diff,
        # a command that failed half-way changed what its diff says, not what it would now
        arguments_cut=event.is_error or _is_cut(event.arguments),
        diff_cut=event.diff_cut or len(diff) >= JOURNALED_CHARS,
    )


def _is_cut(arguments: Mapping[str, Any]) -> bool:
    return any(
        isinstance(text, str) and len(text) >= JOURNALED_CHARS for text in arguments.values()
    )
