"""Delivers what the journal gives to tell, in order, each until it is acknowledged.

The journal is the queue: however long the receiver is away, there is one page of events in memory.
The cursor moves after an acknowledgement, so what a crash falls between is delivered twice, under
the same id, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from campaign.machine import Campaign, step
from campaign.model import Event
from campaign.webhook.contents import contents
from campaign.webhook.metrics import WebhookMetrics
from campaign.webhook.notice import BEGINNING, Notice, Place, Source
from campaign.webhook.patience import Answer, Failure, Patience, delay

log = structlog.get_logger(__name__)

#: events read at once; decoding so many takes the event loop a few milliseconds
_PAGE = 50

Post = Callable[[Notice], Awaitable[Answer]]


class Pages(Protocol):
    """The journal, as the courier reads it."""

    async def read(self, *, after: int = 0, limit: int | None = None) -> Sequence[Event]: ...


class Cursor(Protocol):
    """See `cursor.CursorFile`."""

    def read(self) -> Place: ...

    async def write(self, place: Place) -> None: ...


class GoneError(Exception):
    """The receiver wants no more notices (410)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """A place in the journal, and the state there."""

    sequence: int = 0
    campaign: Campaign | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is not acknowledged at the end."""

    count: int
    #: why; of the last attempt, if there was one
    words: str


class Courier:
    """Catches up with the journal by `catch_up`, then delivers by `run` in a task of its own."""

    def __init__(
        self,
        *,
        pages: Pages,
        cursor: Cursor,
        post: Post,
        metrics: WebhookMetrics,
        patience: Patience | None = None,
    ) -> None:
        self._pages = pages
        self._cursor = cursor
        self._post = post
        self._metrics = metrics
        self._patience = patience or Patience()
        self._acknowledged = BEGINNING
        self._from = _Standing()
        #: journaled, shown and not acknowledged
        self._count = 0
        #: the last event that was caught up with, or shown
        self._shown = 0
        #: what went wrong last; empty after an acknowledgement
        self._words = ""
        self._rung = asyncio.Event()
        self._ending = asyncio.Event()

    @property
    def left(self) -> Left:
        """What is journaled and not acknowledged."""
        return Left(count=self._count, words=self._words)

    async def catch_up(self) -> None:
        """Count what earlier processes left, before anything more is journaled.

        Raises:
            PortError: the journal cannot be read.
        """
        self._acknowledged = self._cursor.read()
        standing, pending = await self._look()
        if standing.sequence < self._acknowledged.sequence:
            log.warning("webhook_cursor_of_another_journal", ends=standing.sequence)
            self._acknowledged = BEGINNING
            self._from = _Standing()
            _, pending = await self._look()
        self._shown = standing.sequence
        self._set_count(pending)

    async def _look(self) -> tuple[_Standing, int]:
        """Where the journal ends, and how many notices are not acknowledged."""
        pending, standing = 0, _Standing()
        async for reached, notices in self._walk(standing):
            standing = reached
            pending += sum(notice.place > self._acknowledged for notice in notices)
            if pending == 0:
                self._from = standing
        return standing, pending

    def observe(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        """An observer of the campaign's shell, which only counts: the journal is what is read."""
        self._shown += 1
        found = len(contents(before, event, after))
        places = (Place(self._shown, number) for number in range(1, found + 1))
        # The courier may have read it before it was shown.
        if more := sum(place > self._acknowledged for place in places):
            self._set_count(self._count + more)
            self._rung.set()

    def end(self) -> None:
        """`run` returns once everything that is journaled now is acknowledged."""
        self._ending.set()
        self._rung.set()

    async def run(self) -> None:
        """Until `end`, and all is acknowledged.

        Raises:
            GoneError: the receiver wants no more.
            PortError: the journal cannot be read.
        """
        while True:
            self._rung.clear()
            async for standing, notices in self._walk(self._from):
                for notice in notices:
                    if notice.place > self._acknowledged:
                        await self._deliver(notice)
                self._from = standing
            if self._ending.is_set():
                return
            await self._rung.wait()

    async def _walk(self, standing: _Standing) -> AsyncIterator[tuple[_Standing, Sequence[Notice]]]:
        """Each event from there to the journal's end: the state after it, and what it tells."""
        campaign, source, sequence = standing.campaign, standing.source, standing.sequence
        while page := await self._pages.read(after=sequence, limit=_PAGE):
            for event in page:
                before, campaign = campaign, step(campaign, event).campaign
                source = source or Source(campaign=campaign.plan.campaign, started_at=event.at)
                sequence += 1
                reached = _Standing(sequence=sequence, campaign=campaign, source=source)
                yield reached, source.notices(before, event, campaign, sequence=sequence)

    async def _deliver(self, notice: Notice) -> None:
        attempt = 1
        while (answer := await self._post(notice)).failure is not None:
            self._note_failure(notice, answer, attempt)
            if answer.failure is Failure.GONE:
                raise GoneError
            await self._pause(attempt, answer)
            attempt += 1
        self._words = ""
        self._acknowledged = notice.place
        self._metrics.delivered(notice.type)
        if notice.place.sequence <= self._shown:
            self._set_count(self._count - 1)
        await self._keep(notice.place)

    def _note_failure(self, notice: Notice, answer: Answer, attempt: int) -> None:
        assert answer.failure is not None  # noqa: S101 - its only caller looked
        self._words = answer.words
        self._metrics.failed(answer.failure)
        log.warning(
            "webhook_not_delivered",
            notice=notice.id,
            type=notice.type,
            attempt=attempt,
            reason=answer.failure,
            problem=answer.words,
        )

    async def _pause(self, attempt: int, answer: Answer) -> None:
        """Short once `end` was called, which cuts the one under way short too.

        But for one that the receiver asked for.
        """
        chance = random.random()  # noqa: S311 - no secret
        wished = answer.retry_after_s
        tries = 1 if self._ending.is_set() else attempt
        whole_s = delay(self._patience, tries, retry_after_s=wished, chance=chance)
        if self._ending.is_set() or wished:
            await asyncio.sleep(whole_s)
            return
        waiting = asyncio.create_task(self._ending.wait(), name="webhook_ending")
        try:
            await asyncio.wait({waiting}, timeout=whole_s)
        finally:
            waiting.cancel()

    async def _keep(self, place: Place) -> None:
        """A disk that is full must not hold anything up: the worst is a notice delivered twice."""
        try:
            await self._cursor.write(place)
        except OSError as error:
            log.exception("webhook_cursor_not_written", error=str(error))

    def _set_count(self, count: int) -> None:
        self._count = count
        self._metrics.left(count)
