"""What it asks the database, each row as one JSON object so that no layout can mangle it."""

from __future__ import annotations

#: who works, who waits, and whom they keep waiting
SESSIONS = """\
WITH waiting AS MATERIALIZED (
  SELECT unnest(pg_blocking_pids(pid)) AS pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'
)
SELECT json_build_object(
         'state', a.state, 'waits_for', a.wait_event_type, 'sessions', count(*),
         'blocks', sum((SELECT count(*) FROM waiting w WHERE w.pid = a.pid)),
         'open_s', round(max(extract(epoch FROM clock_timestamp() - a.xact_start))::numeric, 3),
         'query', left(a.query, 700))::text AS session
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.usename = current_user
   AND a.pid <> pg_backend_pid() AND a.state <> 'idle'
 GROUP BY a.state, a.wait_event_type, left(a.query, 700)
 ORDER BY count(*) DESC LIMIT 12"""

#: since the statistics began; two looks tell what was run in between
STATEMENTS = """\
SELECT json_build_object('id', s.queryid::text, 'calls', s.calls,
         'total_ms', round(s.total_exec_time::numeric), 'query', left(s.query, 1000))::text
       AS statement
  FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
 WHERE d.datname = current_database() AND s.query NOT LIKE '<%'
   AND s.query NOT LIKE '%pg_stat%' AND s.query NOT LIKE '%pg_sleep%'
 ORDER BY s.total_exec_time DESC LIMIT 20"""

CONNECTIONS = """\
SELECT json_build_object('max_connections', current_setting('max_connections')::int,
         'reserved', current_setting('superuser_reserved_connections')::int,
         'in_use', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
         'ours', (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user
                     AND pid <> pg_backend_pid()),
         'room', (SELECT count(*) * 2 FROM pg_stat_activity WHERE usename = current_user)
                 <= current_setting('max_connections')::int)::text AS connections"""

#: whether transactions are still kept open by sessions that do nothing, or waited for in a queue
HOLDING = """\
SELECT json_build_object('holding',
         count(*) FILTER (WHERE state = 'idle in transaction'
                            AND clock_timestamp() - state_change > interval '100 ms') >= 3
         OR count(*) FILTER (WHERE wait_event_type = 'Lock') >= 5)::text AS now
  FROM pg_stat_activity WHERE usename = current_user"""

TRIGRAMS = """\
SELECT json_build_object('extension', name, 'installed', installed_version IS NOT NULL,
         'may_create', has_database_privilege(current_database(), 'CREATE'))::text AS extension
  FROM pg_available_extensions WHERE name = 'pg_trgm'"""


def pause(seconds: int) -> str:
    return f"SELECT pg_sleep({seconds})"


def table(name: str) -> str:
    """How large it is, what its columns hold, and by what it can be found."""
    return f"""\
SELECT json_build_object('table', c.relname, 'rows', c.reltuples::bigint,
         'bytes', pg_relation_size(c.oid),
         'distinct', (SELECT json_object_agg(attname, n_distinct) FROM pg_stats
                       WHERE tablename = c.relname
                         AND schemaname = c.relnamespace::regnamespace::text),
         'indexes', (SELECT json_agg(indexdef) FROM pg_indexes
                      WHERE tablename = c.relname
                        AND schemaname = c.relnamespace::regnamespace::text))::text AS about
  FROM pg_class c WHERE c.oid = '{name}'::regclass"""  # noqa: S608 - from a plan of its own database
