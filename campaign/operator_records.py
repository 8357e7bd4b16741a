"""What the operator's earlier sessions left, from the journal: in words that name no profile.

An operator is told how its tickets ended and what it deployed itself. It is not told which checks
from outside there are beyond those it failed by name, nor with what data they were made. A
verdict's own reason is for people: it may name an earlier trial's profile, or our insides.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol, assert_never

from operators.briefing import symptom_line
from operators.toolbox.instruments import PastDeployment, PastTicket

from campaign.machine import Campaign, step
from campaign.model import (
    DECIDING_GATES,
    AssertionState,
    DeploymentFinished,
    DeploymentRequested,
    Event,
    Immune,
    Inconclusive,
    NoteWritten,
    Resolved,
    SessionOutcome,
    TrialRecord,
    Unresolved,
)
from campaign.ports import Journal

#: diffs that are kept, to be told again
_KEPT_DIFFS = 100

#: how a session that did not resolve its ticket ended
_ENDS = {
    SessionOutcome.GAVE_UP: "it was given up",
    SessionOutcome.BUDGET_SPENT: "its budget was spent before it was resolved",
    SessionOutcome.FAILED: "the session broke off before it was resolved",
}


class History(Protocol):
    """The workspace's commits."""

    async def parent(self, revision: str) -> str | None: ...

    async def diff(self, before: str, after: str) -> str: ...


class JournalRecords:
    """Implements `operators.toolbox.instruments.Records`; reads each event once."""

    def __init__(self, *, journal: Journal, history: History) -> None:
        self._journal = journal
        self._history = history
        self._reading = asyncio.Lock()
        #: events that were read so far, and what they came to
        self._read = 0
        self._campaign: Campaign | None = None
        #: those that are not in it yet
        self._unfolded: deque[Event] = deque()
        self._requested: list[DeploymentRequested] = []
        self._finished: dict[str, DeploymentFinished] = {}
        self._notes: list[str] = []
        #: by revision, the one used last at the end
        self._diffs: OrderedDict[str, str] = OrderedDict()

    async def tickets(self) -> Sequence[PastTicket]:
        """Those of trials that have their verdict, oldest first."""
        await self._catch_up()
        while self._unfolded:
            self._campaign = step(self._campaign, self._unfolded.popleft()).campaign
        campaign = self._campaign
        return () if campaign is None else tuple(filter(None, map(_past_ticket, campaign.done)))

    async def deployments(self, *, diffs_of: int | None = None) -> Sequence[PastDeployment]:
        """All that were asked for, oldest first; what the harness itself starts is none.

        `diffs_of`: only the newest so many have their diffs; None: all have.
        """
        await self._catch_up()
        requested = tuple(self._requested)
        without = 0 if diffs_of is None else max(0, len(requested) - diffs_of)
        return [
            self._past(asked, diff=await self._diff(asked.revision) if number >= without else "")
            for number, asked in enumerate(requested)
        ]

    async def notes(self) -> Sequence[str]:
        """The operator's own words, oldest first, each after its ticket: `T003: …`."""
        await self._catch_up()
        return tuple(self._notes)

    # -- how ------------------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        async with self._reading:
            for event in await self._journal.read(after=self._read):
                self._hear(event)
                self._read += 1

    def _hear(self, event: Event) -> None:
        self._unfolded.append(event)
        match event:
            case DeploymentRequested():
                self._requested.append(event)
            case DeploymentFinished():
                self._finished[event.deployment] = event
            case NoteWritten():
                self._notes.append(f"{event.ticket}: {event.text}")
            case _:
                pass

    def _past(self, asked: DeploymentRequested, *, diff: str) -> PastDeployment:
        ended = self._finished.get(asked.deployment)
        return PastDeployment(
            id=asked.deployment,
            ticket=asked.ticket,
            requested_at=asked.at,
            revision=asked.revision,
            message=asked.message,
            ok=None if ended is None else ended.ok,
            reason="" if ended is None else ended.reason,
            diff=diff,
        )

    async def _diff(self, revision: str) -> str:
        """What it changed against the one before; a revision never changes."""
        if (known := self._diffs.get(revision)) is not None:
            self._diffs.move_to_end(revision)
            return known
        parent = await self._history.parent(revision)
        diff = "" if parent is None else await self._history.diff(parent, revision)
        self._diffs[revision] = diff
        if len(self._diffs) > _KEPT_DIFFS:
            self._diffs.popitem(last=False)
        return diff


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
        case Unresolved():
            return f"not resolved: {_why_lost(record)}"
        case Inconclusive():
            return "not judged, through no fault of the operator"
        case Immune() | None:
            return "closed"
        case _ as never:
            assert_never(never)


def _why_lost(record: TrialRecord) -> str:
    """Of names of checks and invariants alone, and words that are written here."""
    failed = [
        result.name
        for result in record.assertions
        if result.state is AssertionState.FAIL and result.gate in DECIDING_GATES
    ]
    parts = [
        f"checked from outside, these failed: {', '.join(failed)}" if failed else "",
        f"these were out of bounds at the end: {', '.join(record.lost)}" if record.lost else "",
        "" if record.resolved_at is not None else _end(record.session_end),
    ]
    return "; ".join(filter(None, parts)) or "it did not hold steadily afterwards"


def _end(session_end: str) -> str:
    ends = (words for outcome, words in _ENDS.items() if session_end.startswith(outcome))
    return next(ends, "")
