"""SQL as the app's role, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from operators import ToolError

from campaign.adapters.instruments.database import ANSWER_BYTES, AppDatabase
from tests.integration.database_kit import Server, running_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT_S = 20.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server() as server:
        yield server


@pytest.fixture
def database(server: Server) -> AppDatabase:
    return AppDatabase(server.addresses.app_dsn)


async def test_rows_come_with_their_columns_and_no_more_than_asked_for(
    database: AppDatabase,
) -> None:
    found = await database.query(
        "SELECT n, n::text AS word FROM generate_series(1, 5) n", max_rows=2, timeout_s=PATIENT_S
    )
    assert (found.columns, found.rows) == (("n", "word"), ((1, "1"), (2, "2")))
    assert found.cut
    whole = await database.query("SELECT 1 AS one", max_rows=2, timeout_s=PATIENT_S)
    assert (whole.rows, whole.cut, whole.status) == (((1,),), False, "SELECT 1")


async def test_values_are_what_json_can_hold(database: AppDatabase) -> None:
    found = await database.query(
        "SELECT 1.50::numeric, 'NaN'::float8, '\\xdead'::bytea, timestamptz '2026-01-02 03:04Z', "
        "'{\"a\": 1}'::jsonb, ARRAY[1, 2], (1, 'x'), interval '90 s', NULL, 'infinity'::date, "
        "(SELECT relacl FROM pg_class LIMIT 1), repeat('x', 5000)",
        max_rows=1,
        timeout_s=PATIENT_S,
    )
    values = found.rows[0]
    assert values[:9] == (
        *("1.50", "nan", "\\xdead", "2026-01-02T03:04:00+00:00", '{"a": 1}', [1, 2]),
        *([1, "x"], "0:01:30", None),
    )
    assert values[11] == f"{'x' * 4000}… (5000 characters)"


async def test_changes_stay_and_say_what_they_did(database: AppDatabase) -> None:
    made = await database.query("CREATE TABLE kept (n int)", max_rows=5, timeout_s=PATIENT_S)
    assert (made.status, made.rows) == ("CREATE TABLE", ())
    put = await database.query(
        "INSERT INTO kept VALUES (1), (2) RETURNING n", max_rows=1, timeout_s=PATIENT_S
    )
    assert (put.rows, put.cut) == (((1,),), True)
    several = await database.query(
        "INSERT INTO kept VALUES (3); SELECT * FROM kept; DELETE FROM kept WHERE n < 3",
        max_rows=5,
        timeout_s=PATIENT_S,
    )
    assert (several.status, several.rows) == ("DELETE 2", ())
    copied = await database.query("COPY kept TO STDOUT", max_rows=1, timeout_s=PATIENT_S)
    assert (copied.status, copied.rows) == ("COPY 1", ())
    index = "CREATE INDEX CONCURRENTLY ON kept (n)"
    assert (await database.query(index, max_rows=1, timeout_s=PATIENT_S)).status == "CREATE INDEX"
    plan = await database.query("EXPLAIN SELECT * FROM kept", max_rows=9, timeout_s=PATIENT_S)
    assert plan.columns == ("QUERY PLAN",)


# -- where nothing may be changed yet ------------------------------------------------------------


async def test_what_only_looks_is_answered_the_same_where_nothing_may_be_changed(
    database: AppDatabase,
) -> None:
    for sql, columns in (
        ("SELECT n FROM generate_series(1, 3) n;", ("n",)),
        ("SHOW max_connections", ("max_connections",)),
        ("EXPLAIN (ANALYZE, BUFFERS) SELECT count(*) FROM messages", ("QUERY PLAN",)),
        ("WITH few AS (VALUES (1), (2)) TABLE few", ("column1",)),
        ("SELECT pid, state FROM pg_stat_activity", ("pid", "state")),
    ):
        found = await database.query(sql, max_rows=2, timeout_s=PATIENT_S, read_only=True)
        assert found.columns == columns
        assert found.rows


TRICKS = (
    "INSERT INTO untouched VALUES (2)",
    "INSERT INTO untouched VALUES (2) RETURNING n",
    "WITH more AS (INSERT INTO untouched VALUES (2) RETURNING n) SELECT * FROM more",
    "UPDATE untouched SET n = 2 RETURNING n",
    "SELECT * FROM untouched FOR UPDATE",
    "SELECT 2 AS n INTO others",
    "CREATE TABLE others (n int)",
    "CREATE TEMP TABLE others (n int)",
    "CREATE INDEX CONCURRENTLY ON untouched (n)",
    "TRUNCATE untouched",
    "VACUUM FULL untouched",
    "ANALYZE untouched",
    "REINDEX TABLE untouched",
    "COPY untouched FROM STDIN",
    "LOCK TABLE untouched IN ACCESS EXCLUSIVE MODE",
    "EXPLAIN ANALYZE INSERT INTO untouched VALUES (2)",
    "SELECT nextval('counted'), 1",
    "SELECT setval('counted', 100)",
    # out of the transaction, or its mode
    "SET TRANSACTION READ WRITE; INSERT INTO untouched VALUES (2)",
    "COMMIT; INSERT INTO untouched VALUES (2)",
    "ROLLBACK AND CHAIN; INSERT INTO untouched VALUES (2) RETURNING n",
    "SELECT 1; COMMIT; BEGIN READ WRITE; INSERT INTO untouched VALUES (2); COMMIT",
    "/* ; */ COMMIT /* ; */ ; INSERT INTO untouched VALUES (2)",
    "SET default_transaction_read_only = off",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "COMMIT",
    "DO $$ BEGIN SET TRANSACTION READ WRITE; INSERT INTO untouched VALUES (2); END $$",
    "DO $$ BEGIN COMMIT; INSERT INTO untouched VALUES (2); COMMIT; END $$",
    "SELECT set_config('transaction_read_only', 'off', true)",
    (
        "WITH free AS MATERIALIZED (SELECT set_config('transaction_read_only', 'off', false)), "
        "more AS (INSERT INTO untouched SELECT 2 FROM free RETURNING n) SELECT * FROM more, free"
    ),
    "SELECT written()",
    "EXPLAIN ANALYZE SELECT written()",
    "CALL committed(1)",
    # neither a read nor a write
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user",
    "SELECT PG_Cancel_Backend(pid) FROM pg_stat_activity WHERE usename = current_user",
    'SELECT U&"pg\\005fterminate_backend"(pid) FROM pg_stat_activity',
    (
        "SELECT query_to_xml('SELECT pg_ter' || 'minate_backend(' || pid || ')', true, true, '') "
        "FROM pg_stat_activity WHERE usename = current_user"
    ),
)
_FUNCTIONS = """
CREATE OR REPLACE FUNCTION written() RETURNS int LANGUAGE plpgsql AS
  'BEGIN SET TRANSACTION READ WRITE; INSERT INTO untouched VALUES (2); RETURN 2; END';
CREATE OR REPLACE PROCEDURE committed(INOUT n int) LANGUAGE plpgsql AS
  'BEGIN COMMIT; SET TRANSACTION READ WRITE; INSERT INTO untouched VALUES (2); COMMIT; END'
"""


@pytest.mark.parametrize("sql", TRICKS)
async def test_where_nothing_may_be_changed_no_trick_changes_anything(
    database: AppDatabase, server: Server, sql: str
) -> None:
    prepared = (
        "DROP TABLE IF EXISTS untouched; CREATE TABLE untouched AS SELECT 1 AS n; "
        "CREATE SEQUENCE IF NOT EXISTS counted; " + _FUNCTIONS
    )
    await database.query(prepared, max_rows=1, timeout_s=PATIENT_S)
    async with AsyncExitStack() as stack:
        # The app's own session, which goes on.
        theirs = await asyncpg.connect(server.addresses.app_dsn)
        stack.push_async_callback(theirs.close)
        before = await theirs.fetchval("SELECT last_value FROM counted")
        with pytest.raises(ToolError):
            await database.query(sql, max_rows=9, timeout_s=PATIENT_S, read_only=True)
        assert await theirs.fetchval("SELECT array_agg(n) FROM untouched") == [1]
        assert await theirs.fetchval("SELECT to_regclass('others')") is None
        assert await theirs.fetchval("SELECT last_value FROM counted") == before
    await _until_none_is_left(server)


@pytest.mark.parametrize(
    "sql", ["EXPLAIN ANALYZE CREATE TABLE others AS SELECT 1", "SELECT lo_create(4711)"]
)
async def test_what_postgres_lets_through_all_the_same_is_undone(
    database: AppDatabase, server: Server, sql: str
) -> None:
    with suppress(ToolError):
        await database.query(sql, max_rows=9, timeout_s=PATIENT_S, read_only=True)
    assert await server.fetchval("SELECT to_regclass('others')") is None
    assert await server.fetchval("SELECT count(*) FROM pg_largeobject_metadata") == 0


async def test_a_refusal_to_change_anything_says_what_may_be_done(database: AppDatabase) -> None:
    for sql in ("DELETE FROM messages", "DELETE FROM messages RETURNING *"):
        with pytest.raises(ToolError, match=r"until a plan is filed .* SELECT, SHOW, EXPLAIN"):
            await database.query(sql, max_rows=1, timeout_s=PATIENT_S, read_only=True)
    with pytest.raises(ToolError, match="syntax error"):
        await database.query("SELEC 1", max_rows=1, timeout_s=PATIENT_S, read_only=True)


async def test_an_error_says_what_postgres_says(database: AppDatabase) -> None:
    with pytest.raises(ToolError, match=r'relation "mesages" does not exist(.|\n)*at character 15'):
        await database.query("SELECT * FROM mesages", max_rows=1, timeout_s=PATIENT_S)
    with pytest.raises(ToolError, match=r"HINT: Perhaps you meant"):
        await database.query("SELECT contnt FROM messages", max_rows=1, timeout_s=PATIENT_S)
    with pytest.raises(ToolError, match="syntax error"):
        await database.query("SELEC 1", max_rows=1, timeout_s=PATIENT_S)
    with pytest.raises(ToolError, match="NUL"):
        await database.query("SELECT '\0'", max_rows=1, timeout_s=PATIENT_S)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/out'",
        "COPY messages FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION file_fdw",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'getpid'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ratchet'",
        "ALTER SYSTEM SET max_connections = 1",
        "ALTER ROLE chat SUPERUSER",
        "SET ROLE ratchet",
        "SET SESSION AUTHORIZATION ratchet",
        "SELECT * FROM pg_authid",
        "CREATE DATABASE other",
        "LOAD 'auto_explain'",
        "SELECT pg_reload_conf()",
        "SET log_statement = 'none'",
    ],
)
async def test_what_the_role_may_not_do_is_refused(
    database: AppDatabase, server: Server, sql: str
) -> None:
    # One session of the superuser's, to be left alone.
    async with AsyncExitStack() as stack:
        theirs = await asyncpg.connect(server.superuser_dsn)
        stack.push_async_callback(theirs.close)
        with pytest.raises(PermissionError, match=r"(?i)denied|must be|permission|allowed"):
            await database.query(sql, max_rows=1, timeout_s=PATIENT_S)
        assert await theirs.fetchval("SELECT 1") == 1


async def test_the_harness_own_schema_is_out_of_reach(
    database: AppDatabase, server: Server
) -> None:
    theirs = await asyncpg.connect(server.superuser_dsn)
    try:
        await theirs.execute("CREATE SCHEMA IF NOT EXISTS ratchet")
        await theirs.execute("CREATE TABLE ratchet.kept_apart AS SELECT 1 AS n")
        for sql in ("SELECT * FROM ratchet.kept_apart", "CREATE TABLE ratchet.mine (n int)"):
            with pytest.raises(PermissionError, match="denied for schema ratchet"):
                await database.query(sql, max_rows=1, timeout_s=PATIENT_S)
        with pytest.raises(PermissionError):
            await database.query("DROP SCHEMA ratchet CASCADE", max_rows=1, timeout_s=PATIENT_S)
    finally:
        await theirs.execute("DROP TABLE ratchet.kept_apart")
        await theirs.close()


async def test_the_statements_of_others_are_not_shown(
    database: AppDatabase, server: Server
) -> None:
    theirs = await asyncpg.connect(server.superuser_dsn)
    try:
        await theirs.execute("SELECT 'of the harness'")
        seen = await database.query(
            "SELECT query FROM pg_stat_activity WHERE usename = 'ratchet' "
            "UNION ALL SELECT query FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid "
            "WHERE r.rolname = 'ratchet'",
            max_rows=500,
            timeout_s=PATIENT_S,
        )
        assert seen.rows
        assert {row[0] for row in seen.rows} == {"<insufficient privilege>"}
    finally:
        await theirs.close()


async def test_a_statement_that_takes_too_long_is_cancelled(database: AppDatabase) -> None:
    with pytest.raises(ToolError, match=r"longer than 0\.2 s and was cancelled"):
        await database.query("SELECT pg_sleep(60)", max_rows=1, timeout_s=0.2)


_STUBBORN = """
SET statement_timeout = 0;
DO $$ BEGIN
  LOOP
    BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;
  END LOOP;
END $$
"""


async def test_one_that_cannot_be_cancelled_is_ended_with_its_session(
    database: AppDatabase, server: Server
) -> None:
    with pytest.raises(ToolError, match="was cancelled"):
        await database.query(_STUBBORN, max_rows=1, timeout_s=0.2)
    await _until_none_is_left(server)


async def test_a_caller_that_is_cancelled_leaves_nothing_behind(
    database: AppDatabase, server: Server
) -> None:
    asking = asyncio.create_task(
        database.query("SELECT pg_sleep(60)", max_rows=1, timeout_s=PATIENT_S)
    )
    while not await _sessions(server):  # noqa: ASYNC110 - another process tells
        await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await _until_none_is_left(server)


async def test_nothing_of_a_call_outlives_it(database: AppDatabase, server: Server) -> None:
    await database.query("SET search_path = nowhere; BEGIN", max_rows=1, timeout_s=PATIENT_S)
    found = await database.query("SHOW search_path", max_rows=1, timeout_s=PATIENT_S)
    assert found.rows == (('"$user", public',),)
    name = await database.query("SHOW application_name", max_rows=1, timeout_s=PATIENT_S)
    assert name.rows == (("operator",),)
    await _until_none_is_left(server)


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT repeat('x', {4 * ANSWER_BYTES})",
        "SELECT repeat('x', 10000) FROM generate_series(1, 100000)",
    ],
)
async def test_an_answer_that_is_too_large_is_never_held(database: AppDatabase, sql: str) -> None:
    with pytest.raises(ToolError, match="larger than 16 MiB: ask for fewer"):
        await database.query(sql, max_rows=100_000, timeout_s=PATIENT_S)


#: that the app's role may use
_SLOTS = """
SELECT current_setting('max_connections')::int
  - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0)
"""


async def test_that_every_slot_is_taken_is_said_plainly(
    database: AppDatabase, server: Server
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(await server.fetchval(_SLOTS)):
            connection = await _admitted(server)
            stack.push_async_callback(connection.close)
        with pytest.raises(ToolError, match=r"every connection slot .* is taken"):
            await database.query("SELECT 1", max_rows=1, timeout_s=PATIENT_S)


async def test_a_database_that_is_down_is_said_to_be(database: AppDatabase, server: Server) -> None:
    await server.stop()
    try:
        with pytest.raises(ToolError, match="the database gives no answer"):
            await database.query("SELECT 1", max_rows=1, timeout_s=PATIENT_S)
    finally:
        await server.start()


async def _admitted(server: Server) -> asyncpg.Connection[Any]:
    """A session that has just been closed has its slot for a moment yet."""
    async with asyncio.timeout(60):
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                return await asyncpg.connect(server.addresses.app_dsn)
            await asyncio.sleep(0.02)


async def _until_none_is_left(server: Server) -> None:
    async with asyncio.timeout(60):
        while await _sessions(server):  # noqa: ASYNC110 - another process tells
            await asyncio.sleep(0.05)


async def _sessions(server: Server) -> int:
    count: int = await server.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'operator'"
    )
    return count
