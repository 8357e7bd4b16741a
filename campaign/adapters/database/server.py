"""What Postgres says of itself, asked over one connection that is opened beforehand and kept."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from campaign.adapters.database.connections import connect_superuser
from campaign.adapters.database.exposition import STATES, DatabaseFindings
from campaign.adapters.database.odometer import Odometer
from campaign.adapters.database.workload import WORKLOAD, WorkloadMeter

#: Catalogues and statistics. Nothing here can be shadowed or changed by the app's role: it owns
#: no schema of the maintenance database, where this runs. In its own it could put a function of its
#: own in the place of pg_stat_statements, for the superuser to call.
_LOOK = f"""
SELECT
    {WORKLOAD} AS workload,
    (SELECT coalesce(json_object_agg(state, sessions), '{{}}') FROM (
        SELECT CASE WHEN state = ANY ($2) THEN state ELSE 'other' END AS state,
               count(*) AS sessions
        FROM pg_stat_activity
        WHERE usename = $1 AND backend_type = 'client backend'
        GROUP BY 1) AS by_state) AS connections,
    (SELECT count(*) FROM pg_stat_activity
     WHERE usename = $1 AND state LIKE 'idle in transaction%'
       AND state_change < clock_timestamp() - interval '0.5 s') AS stuck,
    current_setting('max_connections')::int AS max_connections,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_position,
    (SELECT coalesce(sum(calls), 0)::bigint FROM public.pg_stat_statements(showtext => false)
     WHERE userid = to_regrole($1) AND toplevel
       AND dbid = (SELECT oid FROM pg_database WHERE datname = $3)) AS statements
"""  # noqa: S608 - both parts are constants
_STATEMENT_TIMEOUT = "900ms"
_ANSWER_TIMEOUT_S = 0.95


class ServerProbe:
    """Looks at the server once a call; connects again after any failure."""

    def __init__(self, maintenance_dsn: str, *, app_role: str, app_database: str) -> None:
        self._dsn = maintenance_dsn
        self._app_role = app_role
        self._app_database = app_database
        self._connection: asyncpg.Connection[Any] | None = None
        self._wal_bytes = Odometer()
        self._statements = Odometer()
        self._workload = WorkloadMeter()

    async def look(self) -> DatabaseFindings:
        """One round trip.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: no answer.
        """
        try:
            if self._connection is None:
                self._connection = await self._connect()
            row = await self._connection.fetchrow(
                *(_LOOK, self._app_role, STATES, self._app_database), timeout=_ANSWER_TIMEOUT_S
            )
        except BaseException:
            self.close()
            raise
        return DatabaseFindings(
            connections=json.loads(row["connections"]),
            stuck=row["stuck"],
            max_connections=row["max_connections"],
            wal_bytes=self._wal_bytes.at(row["wal_position"]),
            statements=self._statements.at(row["statements"]),
            workload=self._workload.read(row["workload"]),
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection[Any]:
        # Another database may be behind the same address.
        self._wal_bytes.lift()
        self._statements.lift()
        self._workload.lift()
        return await connect_superuser(self._dsn, statement_timeout=_STATEMENT_TIMEOUT)
