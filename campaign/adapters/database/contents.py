"""What the app's part of a database holds, in a form that is small to keep and easy to compare.

Every row of every table is digested where it lies (about a million rows a second), whatever order
they are in. The harness's own schema is left out: it is no part of the app's state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from campaign.adapters.database.connections import connect_harness
from campaign.ports import PortError

_T = TypeVar("_T")

_COMPONENT = "database"
#: what a request that was under way when the load ended may take to let go of its tables
_LOCK_TIMEOUT = "10s"
#: of one table's rows, or one look at the catalogues
_STATEMENT_TIMEOUT = "60s"
#: a row as text must not depend on whoever asks
_SETTINGS = {
    "search_path": "pg_catalog",
    "statement_timeout": _STATEMENT_TIMEOUT,
    "lock_timeout": _LOCK_TIMEOUT,
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}

#: as `pg_class.relkind` has them: tables, and what is kept like one
_TABLES = ("r", "p")
_INDEXES = ("i", "I")
_SEQUENCE = "S"

#: The app's relations are those of the database's owner, wherever they are.
_RELATIONS = """
SELECT c.oid, c.relkind::text AS kind, format('%I.%I', n.nspname, c.relname) AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relowner = (SELECT datdba FROM pg_database WHERE datname = current_database())
  AND c.relkind IN ('r', 'p', 'm', 'S', 'i', 'I')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND c.relpersistence <> 't'
ORDER BY name
"""
_COLUMNS = """
SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
"""
_ROWS = """
SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text AS content
FROM {name} AS t
"""
_INDEX = """
SELECT pg_get_indexdef($1) || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END
FROM pg_index WHERE indexrelid = $1
"""
_LAST_VALUE = """
SELECT last_value::text || CASE WHEN is_called THEN '' ELSE ' (unused)' END FROM {name}
"""
_SIZE = """
SELECT pg_relation_size(c.oid) AS own, pg_relation_size(nullif(c.reltoastrelid, 0)) AS toast
FROM pg_class AS c WHERE c.oid = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Tables, indexes, sequences and their sizes: what is true of each, by its name."""

    facts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The same for the same contents, and for no others."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    def as_json(self) -> str:
        return json.dumps(dict(self.facts), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Contents:
        return cls(facts=json.loads(text))


def differences(recorded: Contents, found: Contents) -> tuple[str, ...]:
    """Each fact that is not as it was recorded; empty when the contents are the same."""
    names = sorted(recorded.facts.keys() | found.facts.keys())
    pairs = ((name, recorded.facts.get(name), found.facts.get(name)) for name in names)
    return tuple(
        f"{name}: {now or 'not there'}, recorded was {before or 'nothing'}"
        for name, before, now in pairs
        if before != now
    )


@asynccontextmanager
async def standstill(superuser_dsn: str) -> AsyncIterator[Contents]:
    """What the database holds; for as long as the context lasts nobody writes to its tables.

    Writers wait, readers do not. The load is to be off: what is still under way is waited for.

    Raises:
        PortError: the app goes on writing, or the database refused.
    """
    connection = await _asked(connect_harness(superuser_dsn, **_SETTINGS))
    try:
        yield await _asked(_hold(connection))
    finally:
        await connection.close()  # which ends the transaction, and with it the standstill


async def _asked(answer: Awaitable[_T]) -> _T:
    try:
        return await answer
    except asyncpg.LockNotAvailableError as error:
        reason = f"the app still writes, {_LOCK_TIMEOUT} after the load was taken off"
        raise PortError(_COMPONENT, reason) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PortError(_COMPONENT, f"its contents cannot be read: {error}") from error


async def _hold(connection: asyncpg.Connection[Any]) -> Contents:
    await connection.execute("BEGIN")
    tables = [r["name"] for r in await connection.fetch(_RELATIONS) if r["kind"] in _TABLES]
    if tables:
        await connection.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE MODE")
    facts: dict[str, str] = {}
    for relation in await connection.fetch(_RELATIONS):
        facts |= await _facts(connection, relation)
    return Contents(facts=facts)


async def _facts(connection: asyncpg.Connection[Any], relation: asyncpg.Record) -> dict[str, str]:
    oid, name, kind = relation["oid"], relation["name"], relation["kind"]
    size = {f"size of {name}": await _size(connection, oid)}
    if kind in _INDEXES:
        return {f"index {name}": await connection.fetchval(_INDEX, oid)} | size
    if kind == _SEQUENCE:
        return {f"sequence {name}": await connection.fetchval(_LAST_VALUE.format(name=name))}
    rows = await connection.fetchrow(_ROWS.format(name=name))
    columns = await connection.fetchval(_COLUMNS, oid)
    held = f"{rows['rows']} rows with digest {rows['content']} of ({columns})"
    return {f"table {name}": held} | size


async def _size(connection: asyncpg.Connection[Any], oid: int) -> str:
    size = await connection.fetchrow(_SIZE, oid)
    return f"{size['own']} bytes, {size['toast'] or 0} bytes of long values"
