"""What happened in a trial, as a list for reading: the operator's acts and the harness's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from campaign.model import (
    ActionTaken,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Event,
    Resumed,
    SessionEnded,
    SnapshotTaken,
    Spend,
    StackFailed,
    StopRequested,
    TicketResolved,
)
from reports import words
from reports.series import TrialHistory

ActKind: TypeAlias = Literal["tool", "edit", "deploy", "ticket", "harness"]

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
            return Act(at=at, kind="ticket", what="ticket resolved", detail=event.ticket)
        case SessionEnded():
            return _session_ended(event)
        case DataGrown():
            detail = words.plural(event.rows, "row")
            duration_s = event.duration_s
            return Act(
                at=at, kind="harness", what="data grown", detail=detail, duration_s=duration_s
            )
        case _:
            return _harness(event)


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
    parts = [event.outcome.value, words.short(event.reason, 200), spent(event.spend)]
    detail = " · ".join(part for part in parts if part)
    return Act(at=event.at, kind="ticket", what="session ended", detail=detail)


def _harness(event: Event) -> Act | None:
    at = event.at
    match event:
        case ComponentDown() | StackFailed():
            detail = f"{event.component}: {words.short(event.reason, 200)}"
            what = event.kind.replace("_", " ")
            return Act(at=at, kind="harness", what=what, detail=detail, is_error=True)
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


def spent(spend: Spend) -> str:
    """`12 turns, 34 000 tokens, $0.41`; what is not known is left out, never zero."""
    parts = [
        words.plural(spend.turns, "turn") if spend.turns else "",
        "" if spend.tokens is None else f"{words.quantity(spend.tokens, 'count')} tokens",
        "" if spend.usd is None else f"${spend.usd:.2f}",
    ]
    return ", ".join(part for part in parts if part)


def _cut(text: str) -> str:
    """The beginning of a result, on its own lines."""
    return text if len(text) <= _DETAIL_CHARS else f"{text[:_DETAIL_CHARS]}\n…"
