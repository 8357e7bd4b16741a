"""Writing a journal: one process, one connection, strictly in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from campaign.adapters.journal.chain import Head, link
from campaign.adapters.journal.errors import JournalFailedError
from campaign.adapters.journal.lock import claim_database, run_lock
from campaign.adapters.journal.place import PostgresPlace, SqlitePlace, locate, writing_engine
from campaign.adapters.journal.reader import JournalReader, database_failures_named
from campaign.adapters.journal.schema import migrate
from campaign.adapters.journal.table import events
from campaign.model import Event


class JournalWriter(JournalReader):
    """Implements `ports.Journal`."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection, head: Head) -> None:
        super().__init__(engine)
        #: never another one: with Postgres it is this session that holds the lock
        self._connection = connection
        self._head = head
        self._order = asyncio.Lock()
        self._writes: set[asyncio.Task[int]] = set()
        self._failure: JournalFailedError | None = None

    async def append(self, event: Event) -> int:
        """Write one event; its number, from 1. It is on disk when this returns.

        A caller that is cancelled meanwhile may be sure that the event is still written.

        Raises:
            UnwritableEventError: the event is not written; the journal goes on.
            JournalFailedError: the database failed. Whether the event was written is not known, so
                nothing more is: open the journal anew.
        """
        write = asyncio.create_task(self._write(event), name=f"journal {event.kind}")
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        return await asyncio.shield(write)

    async def flush(self) -> None:
        """Wait for the writes under way, those of cancelled callers included."""
        if self._writes:
            await asyncio.wait(self._writes)

    async def _write(self, event: Event) -> int:
        async with self._order:
            if self._failure is not None:
                raise self._failure
            record = link(self._head, event)
            try:
                with database_failures_named():
                    await self._insert(record.as_row())
            except JournalFailedError as exc:
                self._failure = exc
                raise
            self._head = record.head
            return record.seq

    async def _insert(self, row: dict[str, object]) -> None:
        async with self._connection.begin():
            await self._connection.execute(insert(events), row)


@asynccontextmanager
async def open_journal(where: Path | str) -> AsyncIterator[JournalWriter]:
    """Write the journal in the run folder `where` (a Path) or at the URL `where` (a str).

    What is missing is created. The whole chain is checked before anything is written.

    Raises:
        JournalInUseError: another process writes it.
        BrokenChainError: it was changed after it was written.
        NewerJournalError: a newer version of Ratchet wrote it.
        JournalFailedError: the database cannot be reached.
    """
    place = locate(where)
    async with AsyncExitStack() as stack:
        if isinstance(place, SqlitePlace):
            place.run_dir.mkdir(parents=True, exist_ok=True)
            await stack.enter_async_context(run_lock(place.run_dir))
            if not place.file.exists():
                await _create(place)
        engine = await stack.enter_async_context(writing_engine(place))
        with database_failures_named():
            connection = await stack.enter_async_context(engine.connect())
            await _prepare(connection, place)
        head = await JournalReader(engine).last()
        journal = JournalWriter(engine, connection, head)
        stack.push_async_callback(journal.flush)
        yield journal


async def _create(place: SqlitePlace) -> None:
    """With its tables from the first moment: a reader may come at any time."""
    draft = SqlitePlace(file=place.file.with_name(f"{place.file.name}.new"))
    for left in place.run_dir.glob(f"{draft.file.name}*"):
        left.unlink()
    async with writing_engine(draft) as engine, engine.connect() as connection:
        with database_failures_named():
            await _prepare(connection, draft)
    draft.file.replace(place.file)


async def _prepare(connection: AsyncConnection, place: SqlitePlace | PostgresPlace) -> None:
    if isinstance(place, PostgresPlace):
        await claim_database(connection, campaign=place.campaign)
    await connection.run_sync(migrate)
    await connection.commit()
