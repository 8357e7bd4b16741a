"""What the operator's earlier sessions left, from the journal: in words that name no profile.

An operator is told how its tickets ended and what it deployed itself. It is not told which checks
from outside there are beyond those it failed by name, nor with what data they were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from operators.briefing import symptom_line
from operators.toolbox.instruments import PastDeployment, PastTicket

from campaign.machine import fold
from campaign.model import (
    AssertionState,
    DeploymentFinished,
    DeploymentRequested,
    Immune,
    Inconclusive,
    NoteWritten,
    Resolved,
    TrialRecord,
    Unresolved,
)
from campaign.ports import Journal


class History(Protocol):
    """The workspace's commits."""

    async def parent(self, revision: str) -> str | None: ...

    async def diff(self, before: str, after: str) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecords:
    """Implements `operators.toolbox.instruments.Records`."""

    journal: Journal
    history: History

    async def tickets(self) -> Sequence[PastTicket]:
        """Those of trials that have their verdict, oldest first."""
        campaign = fold(await self.journal.read())
        return () if campaign is None else tuple(filter(None, map(_past_ticket, campaign.done)))

    async def deployments(self) -> Sequence[PastDeployment]:
        """All that were asked for, oldest first; what the harness itself starts is none."""
        events = await self.journal.read()
        finished = {e.deployment: e for e in events if isinstance(e, DeploymentFinished)}
        requested = (event for event in events if isinstance(event, DeploymentRequested))
        return [await self._past(event, finished.get(event.deployment)) for event in requested]

    async def notes(self) -> Sequence[str]:
        """The operator's own words, oldest first."""
        return tuple(_note(e) for e in await self.journal.read() if isinstance(e, NoteWritten))

    async def _past(
        self, asked: DeploymentRequested, ended: DeploymentFinished | None
    ) -> PastDeployment:
        parent = await self.history.parent(asked.revision)
        return PastDeployment(
            id=asked.deployment,
            ticket=asked.ticket,
            requested_at=asked.at,
            revision=asked.revision,
            message=asked.message,
            ok=None if ended is None else ended.ok,
            reason="" if ended is None else ended.reason,
            diff="" if parent is None else await self.history.diff(parent, asked.revision),
        )


def _note(event: NoteWritten) -> str:
    return f"{event.ticket}: {event.text}"


def _past_ticket(record: TrialRecord) -> PastTicket | None:
    if record.ticket is None:
        return None
    return PastTicket(
        id=record.ticket.id,
        opened_at=record.ticket.opened_at,
        symptoms=tuple(symptom_line(symptom) for symptom in record.ticket.symptoms),
        outcome=_outcome(record),
        root_cause=record.root_cause,
    )


def _outcome(record: TrialRecord) -> str:
    match record.verdict:
        case Resolved():
            return "resolved: it held under full load once more"
        case Unresolved(reason=reason):
            failed = [a.name for a in record.assertions if a.state is AssertionState.FAIL]
            if failed:
                return f"not resolved: checked from outside, these failed: {', '.join(failed)}"
            return f"not resolved: {reason}"
        case Inconclusive():
            return "not judged, through no fault of the operator"
        case Immune() | None:
            return "closed"
        case _ as never:
            assert_never(never)
