"""Reading a journal, also while another process writes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from campaign.adapters.journal.chain import GENESIS, Head, Record, verify
from campaign.adapters.journal.codec import decode
from campaign.adapters.journal.errors import BrokenChainError, JournalFailedError
from campaign.adapters.journal.place import locate, reading_engine
from campaign.adapters.journal.schema import require_current
from campaign.adapters.journal.table import events
from campaign.model import Event

#: rows checked between two turns of the event loop
_BATCH = 200


class JournalReader:
    """The events of one journal, in order, with their chain of hashes checked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def read(self, *, after: int = 0, limit: int | None = None) -> Sequence[Event]:
        """Every event whose number is greater than `after`, oldest first; `after + 1` is the first.

        With a `limit` no more than so many.

        Raises:
            BrokenChainError: an event is missing, was changed, or there never was one `after`.
            UnreadableEventError: an event means nothing to this version.
            JournalFailedError: the database cannot be read.
        """
        found: list[Event] = []
        await self._walk(
            after=after,
            limit=limit,
            visit=lambda record: found.append(decode(record.payload, seq=record.seq)),
        )
        return found

    async def last(self) -> Head:
        """Number and hash of the last event (number 0: none), after checking the whole chain."""
        return await self._walk(after=0, visit=lambda _: None)

    async def _walk(
        self, *, after: int, visit: Callable[[Record], None], limit: int | None = None
    ) -> Head:
        """Visit each checked record; gives the last one's head."""
        head = GENESIS
        # The event numbered `after` comes along as the anchor of the chain.
        statement = select(events).where(events.c.seq >= after).order_by(events.c.seq)
        if limit is not None:
            statement = statement.where(events.c.seq <= after + limit)
        with database_failures_named():
            async with self._engine.connect() as connection:
                rows = await connection.stream(statement)
                async for batch in rows.mappings().partitions(_BATCH):
                    for record in (Record(**row) for row in batch):
                        if record.seq == after:
                            head = record.head
                            continue
                        head = verify(head, record)
                        visit(record)
        if head.seq < after:
            raise BrokenChainError(after, "is missing")
        return head


@asynccontextmanager
async def open_reader(where: Path | str) -> AsyncIterator[JournalReader]:
    """Read the journal in the run folder `where` (a Path) or at the URL `where` (a str).

    Takes no lock, and never writes.

    Raises:
        NoJournalError: nothing was written there yet.
        OlderJournalError, NewerJournalError: another version of Ratchet wrote it.
        JournalFailedError: the database cannot be reached.
    """
    async with reading_engine(locate(where)) as engine:
        with database_failures_named():
            async with engine.connect() as connection:
                await connection.run_sync(require_current)
        yield JournalReader(engine)


@contextmanager
def database_failures_named() -> Iterator[None]:
    """Turn what the drivers raise into a JournalFailedError."""
    try:
        yield
    except (SQLAlchemyError, OSError) as exc:
        cause = getattr(exc, "orig", None) or exc
        raise JournalFailedError(f"{type(cause).__name__}: {cause}") from exc
