"""Compares what clients were told with what the app's tables hold, once a call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from campaign.adapters.database.connections import (
    SET_OPENING_USAGE,
    connect_harness,
    connect_superuser,
)
from campaign.adapters.database.exposition import LedgerFindings
from campaign.adapters.database.ledger import LedgerBook, Message, Write
from campaign.adapters.database.ledger_file import LedgerFile

_STATEMENT_TIMEOUT = "900ms"
_ANSWER_TIMEOUT_S = 0.95
_PAGE = 1000
_PAGES = 5
_LOOKED_UP, _SAMPLED = 2000, 100

_FIND_INCARNATION = """
SELECT id::text, extract(epoch FROM since)::float8 AS since
FROM ratchet.incarnation
"""
_OPENING_USAGE = """
SELECT user_id, tokens FROM ratchet.opening_usage WHERE $1::bigint[] IS NULL OR user_id = ANY ($1)
"""


class FetchedWrite(Write, Protocol):
    """As the load generator reports it."""

    @property
    def asked_at(self) -> float: ...


class Page(Protocol):
    """Acknowledged writes, oldest first."""

    @property
    def entries(self) -> Sequence[FetchedWrite]: ...
    @property
    def last(self) -> int: ...


class Ledger(Protocol):
    """The load generator's memory of acknowledged writes."""

    async def ledger(self, *, after: int, limit: int) -> Page:
        """What comes after number `after`.

        Raises:
            PortError: the generator cannot be reached, or was restarted.
        """


class Queries(Protocol):
    """The target's SQL (`chaos_profiles.LedgerQueries`)."""

    @property
    def messages(self) -> str: ...
    @property
    def usage(self) -> str: ...


class LedgerChecker:
    """Compares once a call; connects again after any failure.

    What it knows belongs to one database: one that was made anew has another incarnation, and
    begins with no writes.
    """

    def __init__(
        self, dsn: str, *, queries: Queries, ledger: Ledger, file: LedgerFile, seed: int
    ) -> None:
        self._dsn = dsn
        self._queries = queries
        self._ledger = ledger
        self._file = file
        self._seed = seed
        self._connection: asyncpg.Connection[Any] | None = None
        self._incarnation = _Incarnation(id="", since=0.0)
        self._book = LedgerBook(seed=seed, opening={})
        #: the ledger is asked from its beginning after every failure: what was fetched and not
        #: acknowledged comes again, and a generator that was restarted counts from 1
        self._after = 0

    async def check(self) -> LedgerFindings:
        """One comparison.

        Raises:
            PortError: the generator gives no ledger.
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: the database
                gives no answer, or has no such tables.
        """
        try:
            if self._connection is None:
                self._connection = await self._attach()
            return await self._check(self._connection)
        except BaseException:
            self.close()
            raise

    def write_off(self) -> None:
        """What is missing now is on record, and counts no more."""
        self._file.write_off(self._book.write_off())

    def close(self) -> None:
        self._after = 0
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _check(self, connection: asyncpg.Connection[Any]) -> LedgerFindings:
        book = self._book
        read_at = time.time()  # before the accounts are read: see `ledger`
        usage = await self._accounts(connection, book.users)
        await self._fetch_writes()
        book.settle_accounts(usage, at=read_at)
        if unopened := book.unopened:
            book.open_accounts(await _opening_usage(connection, unopened))
        ids = book.due(at=time.time(), limit=_LOOKED_UP, sample=_SAMPLED)
        book.found(ids, await self._messages(connection, ids))
        return LedgerFindings(
            lost_tokens=book.lost_tokens,
            missing_messages=book.missing,
            acknowledged_writes=len(book),
        )

    async def _attach(self) -> asyncpg.Connection[Any]:
        connection = await connect_harness(
            self._dsn,
            search_path="pg_catalog",
            statement_timeout=_STATEMENT_TIMEOUT,
            default_transaction_read_only="on",
        )
        try:
            incarnation = await self._find_incarnation(connection)
            if incarnation.id != self._incarnation.id:
                await self._open_book(connection, incarnation)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _find_incarnation(self, connection: asyncpg.Connection[Any]) -> _Incarnation:
        """The database's own; the first to come writes it down, with what accounts show then."""
        superuser = await connect_superuser(self._dsn)
        try:
            row = await superuser.fetchrow(_FIND_INCARNATION)
            if row is None:
                accounts = await self._accounts(connection, None)
                await superuser.execute(SET_OPENING_USAGE, list(accounts), list(accounts.values()))
                await superuser.execute("INSERT INTO ratchet.incarnation DEFAULT VALUES")
                row = await superuser.fetchrow(_FIND_INCARNATION)
        finally:
            await superuser.close()
        return _Incarnation(id=row["id"], since=row["since"])

    async def _open_book(
        self, connection: asyncpg.Connection[Any], incarnation: _Incarnation
    ) -> None:
        opening = await _opening_usage(connection, None)
        self._book = LedgerBook(seed=self._seed, opening=opening)
        kept = self._file.read(incarnation.id)
        self._book.add(kept.writes)
        self._book.write_off(kept.written_off)
        self._file.begin(incarnation.id)
        self._incarnation = incarnation

    async def _fetch_writes(self) -> None:
        for _ in range(_PAGES):
            after, self._after = self._after, 0
            page = await self._ledger.ledger(after=after, limit=_PAGE)
            self._after = page.last
            since = self._incarnation.since
            self._file.append(self._book.add(w for w in page.entries if w.asked_at > since))
            if len(page.entries) < _PAGE:
                return

    async def _accounts(
        self, connection: asyncpg.Connection[Any], users: list[int] | None
    ) -> dict[int, int]:
        if users == []:
            return {}
        rows = await connection.fetch(self._queries.usage, users, timeout=_ANSWER_TIMEOUT_S)
        return {row["user_id"]: row["tokens"] for row in rows}

    async def _messages(
        self, connection: asyncpg.Connection[Any], ids: list[int]
    ) -> dict[int, Message]:
        if not ids:
            return {}
        rows = await connection.fetch(self._queries.messages, ids, timeout=_ANSWER_TIMEOUT_S)
        return {
            row["id"]: Message(
                conversation_id=row["conversation_id"],
                user_id=row["user_id"],
                tokens=row["tokens"],
            )
            for row in rows
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Incarnation:
    """Which database this is: a copy of a template is another one."""

    id: str
    #: epoch seconds; what was asked for before may have been written elsewhere
    since: float


async def _opening_usage(
    connection: asyncpg.Connection[Any], users: list[int] | None
) -> dict[int, int]:
    rows = await connection.fetch(_OPENING_USAGE, users, timeout=_ANSWER_TIMEOUT_S)
    return {row["user_id"]: row["tokens"] for row in rows}
