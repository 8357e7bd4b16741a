"""What Postgres says of itself, asked over one connection that is opened beforehand and kept."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from campaign.adapters.database.connections import connect_superuser
from campaign.adapters.database.exposition import STATES, DatabaseFindings

#: Catalogues only: nothing here can be shadowed or changed by the app's role.
_LOOK = """
SELECT
    (SELECT coalesce(json_object_agg(state, sessions), '{}') FROM (
        SELECT CASE WHEN state = ANY ($2) THEN state ELSE 'other' END AS state,
               count(*) AS sessions
        FROM pg_stat_activity
        WHERE usename = $1 AND backend_type = 'client backend'
        GROUP BY 1) AS by_state) AS connections,
    (SELECT count(*) FROM pg_stat_activity
     WHERE usename = $1 AND state LIKE 'idle in transaction%'
       AND state_change < clock_timestamp() - interval '0.5 s') AS stuck,
    current_setting('max_connections')::int AS max_connections,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_position
"""
_STATEMENT_TIMEOUT = "900ms"
_ANSWER_TIMEOUT_S = 0.95


class ServerProbe:
    """Looks at the server once a call; connects again after any failure."""

    def __init__(self, dsn: str, *, app_role: str) -> None:
        self._dsn = dsn
        self._app_role = app_role
        self._connection: asyncpg.Connection[Any] | None = None
        self._wal_position: int | None = None
        self._wal_bytes = 0

    async def look(self) -> DatabaseFindings:
        """One round trip.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: no answer.
        """
        try:
            if self._connection is None:
                self._connection = await self._connect()
            row = await self._connection.fetchrow(
                _LOOK, self._app_role, STATES, timeout=_ANSWER_TIMEOUT_S
            )
        except BaseException:
            self.close()
            raise
        self._count_wal(row["wal_position"])
        return DatabaseFindings(
            connections=json.loads(row["connections"]),
            stuck=row["stuck"],
            max_connections=row["max_connections"],
            wal_bytes=self._wal_bytes,
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection[Any]:
        self._wal_position = None  # another database may be behind the same address
        return await connect_superuser(self._dsn, statement_timeout=_STATEMENT_TIMEOUT)

    def _count_wal(self, position: int) -> None:
        before = position if self._wal_position is None else self._wal_position
        self._wal_bytes += max(0, position - before)
        self._wal_position = position
