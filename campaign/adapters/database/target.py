"""Loads the target's rows: the seed of a fresh database, and what a profile adds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol, Self

import asyncpg

from campaign.adapters.database.connections import (
    SET_OPENING_USAGE,
    connect_harness,
    connect_superuser,
)
from campaign.model import Profile
from campaign.ports import PortError

_COMPONENT = "database"
_LOAD_TIMEOUT_S = 600.0
_PATIENCE_S = 30.0
_POLL_S = 0.2


class Table(Protocol):
    """One COPY."""

    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def rows(self) -> Iterable[tuple[Any, ...]]: ...


class Data(Protocol):
    """The rows of a target (`chaos_profiles.TargetData`)."""

    @property
    def after_load(self) -> tuple[str, ...]: ...
    def seed(self) -> Sequence[Table]: ...
    def growth(self, growth: dict[str, Any]) -> Sequence[Table]: ...


class TargetDatabase:
    """Implements `campaign.ports.Database`.

    Used within `async with`, its connection is opened at once and kept: an app that holds every
    slot later on cannot keep the next trial's data out. Without, it connects for each load.
    """

    def __init__(self, dsn: str, *, data: Data, usage: str | None = None) -> None:
        """`usage`: SQL giving user_id and tokens of users `$1`, or of all for NULL (see Probes)."""
        self._dsn = dsn
        self._data = data
        self._usage = usage
        self._kept: asyncpg.Connection[Any] | None = None
        self._keeping = False

    async def __aenter__(self) -> Self:
        self._keeping = True
        self._kept = await self._connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._keeping = False
        if self._kept is not None:
            await self._kept.close()

    async def seed(self) -> int:
        """Fill the app's empty tables as the role of the DSN, which owns them; gives the rows.

        Raises:
            PortError: the database refused.
        """
        try:
            connection = await asyncpg.connect(self._dsn)
            try:
                async with connection.transaction():
                    return await self._load(connection, self._data.seed())
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as exc:
            raise PortError(_COMPONENT, f"the seed cannot be loaded: {exc}") from exc

    async def grow(self, profile: Profile, *, growth_id: str) -> int:
        """Load the profile's rows once; the DSN is the superuser's. Gives the rows of the growth.

        The journaled `growth_id` is written down with the number of the transaction that loads
        the rows, before that is committed. Whether it was, is then asked of Postgres: a crash at
        any moment leaves all of the rows or none, and never loads them twice.

        Raises:
            PortError: the database refused.
        """
        try:
            tables = self._data.growth(profile.growth)
            async with AsyncExitStack() as stack:
                notes = await connect_superuser(self._dsn)
                stack.push_async_callback(notes.close)
                loader = await self._loader(stack)
                done = await _rows_loaded(notes, growth_id)
                return (
                    done if done is not None else await self._grow(loader, notes, tables, growth_id)
                )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as exc:
            raise PortError(_COMPONENT, f"the data of {growth_id} cannot be loaded: {exc}") from exc

    async def _grow(
        self,
        loader: asyncpg.Connection[Any],
        notes: asyncpg.Connection[Any],
        tables: Sequence[Table],
        growth_id: str,
    ) -> int:
        async with loader.transaction():
            rows = await self._load(loader, tables)
            if self._usage is not None:
                accounts = await loader.fetch(self._usage, None)
                users = [account["user_id"] for account in accounts]
                tokens = [account["tokens"] for account in accounts]
                await notes.execute(SET_OPENING_USAGE, users, tokens)
            xid = await loader.fetchval("SELECT pg_current_xact_id()::text")
            await notes.execute(
                "INSERT INTO ratchet.growth (id, rows, xid) VALUES ($1, $2, $3::text::xid8)",
                growth_id,
                rows,
                xid,
            )
        return rows

    async def _load(self, connection: asyncpg.Connection[Any], tables: Sequence[Table]) -> int:
        """COPY, then fresh statistics: a plan made for the old size would be measured instead."""
        loaded = 0
        for table in tables:
            status = await connection.copy_records_to_table(
                table.name,
                schema_name="public",
                columns=table.columns,
                records=table.rows,
                timeout=_LOAD_TIMEOUT_S,
            )
            loaded += int(status.split()[-1])
        if tables:
            for statement in self._data.after_load:
                await connection.execute(statement)
            names = ", ".join(f'public."{table.name}"' for table in tables)
            await connection.execute(f"ANALYZE {names}")
        return loaded

    async def _connect(self) -> asyncpg.Connection[Any]:
        return await connect_harness(self._dsn, search_path="public")

    async def _loader(self, stack: AsyncExitStack) -> asyncpg.Connection[Any]:
        if not self._keeping:
            connection = await self._connect()
            stack.push_async_callback(connection.close)
            return connection
        if self._kept is None or self._kept.is_closed():
            self._kept = await self._connect()
        return self._kept


async def _rows_loaded(notes: asyncpg.Connection[Any], growth_id: str) -> int | None:
    """The rows of a growth that was committed before; None when it was not.

    Raises:
        PortError: another connection has been loading it for half a minute.
    """
    query = "SELECT rows, pg_xact_status(xid) AS status FROM ratchet.growth WHERE id = $1"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while (row := await notes.fetchrow(query, growth_id)) is not None:
                match row["status"]:
                    case "in progress":
                        await asyncio.sleep(_POLL_S)
                    case "aborted":
                        await notes.execute("DELETE FROM ratchet.growth WHERE id = $1", growth_id)
                    case _:  # committed, or so long ago that Postgres has forgotten
                        return int(row["rows"])
    except TimeoutError as exc:
        raise PortError(_COMPONENT, f"{growth_id} is still being loaded elsewhere") from exc
    return None
