"""The app's database as the gates use it: read, and planted with data of their own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg

from campaign.adapters.database.connections import connect_harness, connect_superuser
from campaign.adapters.database.ledger_file import KeptWrite, LedgerFile
from campaign.gates.finding import AppFailedError

_STATEMENT_TIMEOUT = "4s"
_CONNECTIONS = 3
#: a value for a column without a default; one that meets a check
_WANTS_MORE = frozenset({"23502", "23514"})
#: the harness's own tables only: nothing of the app's is touched with these rights
_INCARNATION = "SELECT id::text FROM ratchet.incarnation"
_LAST_GROWTH = "SELECT extract(epoch FROM clock_timestamp() - max(at))::float8 FROM ratchet.growth"


class AuditDatabase:
    """Implements `campaign.gates.AppDatabase`; used within `async with`.

    Its connections have the rights of the database's owner and no more (see `connections`). They
    are opened on entry and kept, for an app may hold every other slot later on; after a restart of
    the server they are made again.
    """

    def __init__(self, dsn: str, *, ledger_file: Path) -> None:
        """`dsn` is the superuser's."""
        self._dsn = dsn
        self._ledger_file = ledger_file
        self._idle: list[asyncpg.Connection[Any]] = []
        self._places = asyncio.Semaphore(_CONNECTIONS)
        self._planting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._idle = [await self._connect() for _ in range(_CONNECTIONS)]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for connection in self._idle:
            connection.terminate()
        self._idle.clear()

    async def fetch(self, query: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """See `AppDatabase`.

        Raises:
            AppFailedError: the app's tables do not allow it (any more).
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: no answer, or none in time.
        """
        async with self._connection() as connection:
            rows: list[Mapping[str, Any]] = await connection.fetch(query, *arguments)
            return rows

    async def plant(self, query: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """One at a time: statements may take the next free id."""
        async with self._planting, self._connection() as connection:
            await connection.execute("BEGIN READ WRITE; SET LOCAL search_path = public")
            try:
                rows: list[Mapping[str, Any]] = await connection.fetch(query, *arguments)
                await connection.execute("COMMIT")
            except BaseException:
                connection.terminate()
                raise
            return rows

    async def acknowledged(self) -> Sequence[KeptWrite]:
        superuser = await connect_superuser(self._dsn)
        try:
            incarnation = await superuser.fetchval(_INCARNATION)
        finally:
            await superuser.close()
        kept = LedgerFile(self._ledger_file).read(incarnation or "")
        lost = frozenset(kept.written_off)
        return [write for write in kept.writes if write.message_id not in lost]

    async def quiet_s(self) -> float:
        superuser = await connect_superuser(self._dsn)
        try:
            since_s = await superuser.fetchval(_LAST_GROWTH)
        finally:
            await superuser.close()
        return math.inf if since_s is None else float(since_s)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        async with self._places:
            connection = await self._open()
            try:
                yield connection
            except asyncpg.PostgresError as error:
                connection.terminate()
                if _is_by_the_app(error):
                    raise AppFailedError(
                        f"its tables are not what they were: {error}",
                        expected="the tables of the first revision, and more",
                        actual=str(error),
                    ) from error
                raise
            except BaseException:
                connection.terminate()
                raise
            if not connection.is_closed():
                self._idle.append(connection)

    async def _open(self) -> asyncpg.Connection[Any]:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await self._connect()

    async def _connect(self) -> asyncpg.Connection[Any]:
        return await connect_harness(
            self._dsn,
            search_path="pg_catalog",
            statement_timeout=_STATEMENT_TIMEOUT,
            default_transaction_read_only="on",
        )


def _is_by_the_app(error: asyncpg.PostgresError) -> bool:
    """Tables or columns are gone or closed (class 42), or want what they did not want at first."""
    return error.sqlstate.startswith("42") or error.sqlstate in _WANTS_MORE
