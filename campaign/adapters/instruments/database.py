"""SQL as the app's own role: a connection a call, so that nothing of one reaches the next.

One statement gives rows, fetched no further than asked for; several at once are run as they are,
and none of their rows are shown. What the role may not do, Postgres refuses: it is no superuser.

Where nothing may be changed yet, there is one statement, in a transaction that is read-only, has
its snapshot already (from then on Postgres lets nobody make it another one), and is rolled back.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from operators import ToolError
from operators.toolbox.instruments import Rows

from campaign.adapters.instruments.relay import Relay, relay
from campaign.adapters.instruments.values import plain

APPLICATION = "operator"
#: the server's whole answer; beyond, the connection is cut
ANSWER_BYTES = 16 << 20
_LONGEST_SQL = 100_000
_CONNECT_TIMEOUT_S = 5.0
#: after the server's own limit, which a statement can lift for itself
_GRACE_S = 1.0
_END_TIMEOUT_S = 2.0

_TOO_MANY = (
    "every connection slot of the database that the app's role may use is taken ({words}). "
    "That is a symptom: look at who holds them from the app's side"
)

_LOOK_ONLY = (
    "refused: nothing may be changed until a plan is filed (file_plan). Until then one statement "
    "is run at a time, and only one that reads and gives rows: SELECT, SHOW, EXPLAIN"
)
#: what a transaction that is read-only does not stop: ending the app's own sessions, by name or by
#: what runs a text as SQL. DO cannot be used either: it gives no rows
_ACTS = re.compile(
    r"pg_(terminate|cancel)_backend|u&\"|query_to_xml|\bts_(stat|rewrite)\b", re.IGNORECASE
)


class AppDatabase:
    """Implements `operators.toolbox.instruments.Database`."""

    def __init__(self, dsn: str) -> None:
        """`dsn`: the app's own, by way of a Unix socket (`…?host=<folder>&port=<n>`)."""
        place = urlsplit(dsn)
        query = parse_qs(place.query)
        self._user = place.username or ""
        self._name = place.path.lstrip("/")
        self._port = int(query.get("port", ["5432"])[0])
        self._socket = Path(query["host"][0]) / f".s.PGSQL.{self._port}"

    async def query(
        self, sql: str, *, max_rows: int, timeout_s: float, read_only: bool = False
    ) -> Rows:
        """See the protocol.

        Raises:
            ToolError: with Postgres' own words, and what it hints at.
            PermissionError: the role may not do that.
        """
        _require_plain(sql)
        if read_only and _ACTS.search(sql):
            raise ToolError(_LOOK_ONLY)
        run = _look if read_only else _run
        async with relay(self._socket, limit_bytes=ANSWER_BYTES) as way:
            connection = await self._connect(way, timeout_s)
            pid = connection.get_server_pid()
            try:
                async with asyncio.timeout(timeout_s + _GRACE_S):
                    return await run(connection, sql, max_rows=max_rows)
            except (TimeoutError, asyncpg.QueryCanceledError) as error:
                raise ToolError(
                    f"the statement took longer than {timeout_s:g} s and was cancelled: "
                    "EXPLAIN it (without ANALYZE), or give it more time (timeout_s)"
                ) from error
            except asyncpg.InsufficientPrivilegeError as error:
                raise PermissionError(_told(error)) from error
            except asyncpg.ReadOnlySQLTransactionError as error:
                raise ToolError(f"{_LOOK_ONLY} ({error})") from error
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError) as error:
                raise ToolError(_broken(error, way)) from error
            except asyncpg.PostgresError as error:
                raise ToolError(_told(error)) from error
            finally:
                # Also when the caller is cancelled: its session in the database ends with it.
                await asyncio.shield(self._end(connection, pid, way))

    async def _connect(self, way: Relay, timeout_s: float) -> Any:
        try:
            return await asyncpg.connect(
                host=str(way.folder),
                port=self._port,
                user=self._user,
                database=self._name,
                # None is needed, and none of ours may be looked up.
                password="",
                passfile=os.devnull,
                ssl=False,
                timeout=_CONNECT_TIMEOUT_S,
                statement_cache_size=0,
                server_settings={
                    "application_name": APPLICATION,
                    "statement_timeout": str(max(1, round(timeout_s * 1000))),
                    "client_connection_check_interval": "1000",
                },
            )
        except asyncpg.TooManyConnectionsError as error:
            raise ToolError(_TOO_MANY.format(words=error)) from error
        except (
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            OSError,
            TimeoutError,
        ) as error:
            raise ToolError(
                "the database gives no answer: it is down, restarting, or too busy to accept a "
                "connection"
            ) from error
        except asyncpg.PostgresError as error:
            raise ToolError(f"the database takes no connection: {_told(error)}") from error

    async def _end(self, connection: Any, pid: int, way: Relay) -> None:
        """A session that does not go by itself is ended by another of the same role."""
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await connection.close()
                return
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            connection.terminate()
        way.passed_bytes = 0
        with suppress(ToolError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            other = await self._connect(way, _END_TIMEOUT_S)
            try:
                await other.execute(f"SELECT pg_terminate_backend({pid:d})")
            finally:
                other.terminate()


async def _run(connection: Any, sql: str, *, max_rows: int) -> Rows:
    began = time.monotonic()
    try:
        statement = await connection.prepare(sql)
    except asyncpg.PostgresSyntaxError as error:
        if "multiple commands" not in str(error):
            raise
        statement = None
    attributes = () if statement is None else statement.get_attributes()
    if not attributes:
        # Such as CREATE INDEX CONCURRENTLY, which wants no transaction around it.
        status = await connection.execute(sql)
        return _rows((), [], status=status, max_rows=max_rows, began=began)
    async with connection.transaction():
        return await _fetched(statement, max_rows=max_rows, began=began)


async def _look(connection: Any, sql: str, *, max_rows: int) -> Rows:
    """One statement, whose transaction it can neither change nor outlive.

    Several at once cannot be prepared.
    """
    began = time.monotonic()
    await connection.execute("BEGIN READ ONLY; SELECT 1")
    try:
        try:
            statement = await connection.prepare(sql)
        except asyncpg.PostgresSyntaxError as error:
            if "multiple commands" not in str(error):
                raise
            raise ToolError(_LOOK_ONLY) from error
        if not statement.get_attributes():
            raise ToolError(_LOOK_ONLY)
        return await _fetched(statement, max_rows=max_rows, began=began)
    finally:
        # Closing would do it as well, unless it cannot be closed.
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.execute("ROLLBACK")


async def _fetched(statement: Any, *, max_rows: int, began: float) -> Rows:
    """Within a transaction."""
    cursor = await statement.cursor()
    found = await cursor.fetch(max_rows + 1)
    columns = tuple(attribute.name for attribute in statement.get_attributes())
    status = statement.get_statusmsg()
    # There may be a million values.
    return await asyncio.to_thread(
        _rows, columns, found, status=status, max_rows=max_rows, began=began
    )


def _rows(
    columns: tuple[str, ...], found: list[Any], *, status: str | None, max_rows: int, began: float
) -> Rows:
    shown = found[:max_rows]
    cut = len(found) > max_rows
    return Rows(
        columns=columns,
        rows=tuple(tuple(plain(value) for value in row) for row in shown),
        cut=cut,
        status=status or f"SELECT {len(shown)}{' and more' if cut else ''}",
        duration_s=time.monotonic() - began,
    )


def _require_plain(sql: str) -> None:
    if "\0" in sql:
        raise ToolError("a statement cannot have a NUL character in it")
    if len(sql) > _LONGEST_SQL:
        raise ToolError(f"a statement of more than {_LONGEST_SQL} characters")


def _told(error: Any) -> str:
    """Postgres' message, with what it says besides."""
    parts = [f"{error.severity or 'ERROR'}: {error.message or error} ({error.sqlstate})"]
    more = {name: getattr(error, name, None) for name in ("detail", "hint", "where")}
    parts += [f"{name.upper()}: {text}" for name, text in more.items() if text]
    if position := getattr(error, "position", None):
        parts.append(f"at character {position} of the statement")
    return "\n".join(parts)


def _broken(error: Exception, way: Relay) -> str:
    if way.is_over:
        return (
            f"the answer was larger than {ANSWER_BYTES >> 20} MiB: ask for fewer columns or rows, "
            "or for parts of long values (left(…, 200))"
        )
    return f"the connection to the database broke off: {error}"
