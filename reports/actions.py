"""What happened in a trial, as a list for reading: the operator's acts and the harness's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from campaign.model import (
    AccessRefused,
    ActionTaken,
    ApprovalAnswered,
    ApprovalAsked,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Event,
    MessageSent,
    NoteWritten,
    PlanFiled,
    Resumed,
    SessionEnded,
    SnapshotTaken,
    StackFailed,
    StopRequested,
    TicketAcknowledged,
    TicketResolved,
)
from reports import spending, words
from reports.series import TrialHistory

ActKind: TypeAlias = Literal[
    "tool", "edit", "deploy", "ticket", "words", "person", "security", "harness"
]

_DETAIL_CHARS = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One line of the list."""

    #: epoch seconds
    at: float
    kind: ActKind
    what: str
    detail: str = ""
    #: shown on demand
    result: str = ""
    duration_s: float | None = None
    is_error: bool = False


def acts(trial: TrialHistory) -> tuple[Act, ...]:
    return tuple(act for event in trial.events if (act := _act(event)) is not None)


def _act(event: Event) -> Act | None:
    at = event.at
    match event:
        case ActionTaken():
            return _tool(event)
        case DeploymentRequested():
            detail = f"{words.revision(event.revision)} {words.short(event.message, 120)}"
            return Act(at=at, kind="deploy", what="deployment requested", detail=detail.strip())
        case DeploymentFinished():
            return _deployed(event)
        case TicketResolved():
            places = f": {', '.join(map(_named, event.places))}" if event.places else ""
            detail = f"{event.ticket}{places}"
            return Act(at=at, kind="ticket", what="ticket resolved", detail=detail)
        case SessionEnded():
            return _session_ended(event)
        case DataGrown():
            detail = words.plural(event.rows, "row")
            duration_s = event.duration_s
            return Act(
                at=at, kind="harness", what="data grown", detail=detail, duration_s=duration_s
            )
        case _:
            return _words(event) or _harness(event)


def _words(event: Event) -> Act | None:
    """What goes on between the operator and people, and what it was refused."""
    at = event.at
    match event:
        case TicketAcknowledged():
            detail = words.short(event.message, 200)
            return Act(at=at, kind="ticket", what="acknowledged", detail=detail)
        case PlanFiled():
            return _said("plan filed", event, event.plan)
        case NoteWritten():
            return _said("note written", event, event.text)
        case MessageSent() | ApprovalAsked() | ApprovalAnswered():
            return _person(event)
        case AccessRefused():
            detail = words.short(event.what, 200)
            return Act(at=at, kind="security", what="refused", detail=detail, is_error=True)
        case _:
            return None


def _named(place: str) -> str:
    return words.short(place, 80)


def _said(what: str, event: Event, text: str) -> Act:
    """Its first line, and all of it on demand."""
    first, _, rest = text.strip().partition("\n")
    detail = words.short(first, 160)
    result = _cut(text) if rest or detail != words.printable(first) else ""
    return Act(at=event.at, kind="words", what=what, detail=detail, result=result)


def _person(event: MessageSent | ApprovalAsked | ApprovalAnswered) -> Act:
    at = event.at
    match event:
        case MessageSent():
            return Act(at=at, kind="person", what="message", detail=words.short(event.text, 200))
        case ApprovalAsked():
            call = f"{words.short(event.tool, 40)}({words.call(event.arguments)})"
            return Act(at=at, kind="person", what="approval asked", detail=call)
        case ApprovalAnswered():
            what = "approved" if event.granted else "not approved"
            detail = words.short(event.reason, 200)
            return Act(at=at, kind="person", what=what, detail=detail)


def _tool(event: ActionTaken) -> Act:
    return Act(
        at=event.at,
        kind="edit" if event.edit else "tool",
        what=words.short(event.tool, 40),
        detail=words.call(event.arguments),
        result=_cut(event.result),
        duration_s=event.duration_s,
        is_error=event.is_error,
    )


def _deployed(event: DeploymentFinished) -> Act:
    end = "ok" if event.ok else f"failed: {words.short(event.reason, 200)}"
    return Act(
        at=event.at,
        kind="deploy",
        what="deployment finished",
        detail=f"{words.revision(event.revision)} {end}",
        duration_s=event.duration_s,
        is_error=not event.ok,
    )


def _session_ended(event: SessionEnded) -> Act:
    parts = [event.outcome.value, words.short(event.reason, 200), spending.spent((event.spend,))]
    detail = " · ".join(part for part in parts if part)
    return Act(at=event.at, kind="ticket", what="session ended", detail=detail)


def _harness(event: Event) -> Act | None:
    at = event.at
    match event:
        case ComponentDown() | StackFailed():
            detail = f"{event.component}: {words.short(event.reason, 200)}"
            what = event.kind.replace("_", " ")
            is_error = not (isinstance(event, ComponentDown) and event.covered)
            return Act(at=at, kind="harness", what=what, detail=detail, is_error=is_error)
        case CommandFailed():
            detail = f"{event.command}: {event.component}: {words.short(event.reason, 200)}"
            return Act(at=at, kind="harness", what="command failed", detail=detail, is_error=True)
        case ComponentUp():
            return Act(at=at, kind="harness", what="component up", detail=event.component)
        case SnapshotTaken():
            kept = event.snapshot
            size = words.quantity(kept.size_bytes, "bytes")
            return Act(
                at=at,
                kind="harness",
                what="snapshot taken",
                detail=f"{size}, {words.quantity(kept.added_bytes, 'bytes')} of it new",
                duration_s=kept.duration_s,
            )
        case StopRequested():
            return Act(at=at, kind="harness", what="stopped", detail=words.short(event.reason, 200))
        case Resumed():
            return Act(at=at, kind="harness", what="resumed")
        case _:
            return None


def _cut(text: str) -> str:
    """The beginning of a result, on its own lines."""
    return text if len(text) <= _DETAIL_CHARS else f"{text[:_DETAIL_CHARS]}\n…"
