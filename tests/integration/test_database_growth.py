from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from campaign.adapters.database import TargetDatabase
from campaign.adapters.database.connections import connect_harness, connect_superuser
from campaign.ports import PortError
from tests.integration.database_kit import Server, catalogue, data, running_server

STREAMS = catalogue().profile("streaming_txn")
ROWS = 40 + 40 + 160 + 40
USAGE = catalogue().target.ledger.usage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server() as running:
        connection = await connect_harness(running.superuser_dsn)
        await connection.close()
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _as_it_was(server: Server) -> AsyncIterator[None]:
    yield
    await server.execute(
        "DELETE FROM messages WHERE id >= 3000000000",
        "DELETE FROM transcripts WHERE conversation_id >= 3000000000",
        "DELETE FROM conversations WHERE id >= 3000000000",
        "DELETE FROM users WHERE id >= 3000000000",
    )
    await server.fetchval("DELETE FROM ratchet.growth")


MESSAGES = "SELECT count(*) FROM messages WHERE id >= 3000000000"


async def test_the_seed_is_there_and_new_rows_get_ids_beyond_it(server: Server) -> None:
    assert await server.fetchval("SELECT count(*) FROM messages") == 8_000
    assert await server.fetchval("INSERT INTO users (name) VALUES ('new') RETURNING id") == 2001
    await server.execute("DELETE FROM users WHERE id = 2001")


async def test_a_growth_is_loaded_with_fresh_statistics(server: Server) -> None:
    database = TargetDatabase(server.superuser_dsn, data=data())
    before = await server.fetchval("SELECT clock_timestamp()")
    assert await database.grow(STREAMS, growth_id="t0-grow") == ROWS
    assert await server.fetchval(MESSAGES) == 160
    analyzed = "SELECT last_analyze FROM pg_stat_user_tables WHERE relname = 'messages'"
    assert await server.fetchval(analyzed) > before


async def test_the_same_growth_twice_adds_nothing(server: Server) -> None:
    async with TargetDatabase(server.superuser_dsn, data=data()) as database:
        assert await database.grow(STREAMS, growth_id="t0-grow") == ROWS
        assert await database.grow(STREAMS, growth_id="t0-grow") == ROWS
    assert await server.fetchval(MESSAGES) == 160


async def test_a_growth_that_was_cut_short_is_loaded_again(server: Server) -> None:
    """The note of it stays, with a transaction that was never committed."""
    loader = await connect_harness(server.superuser_dsn, search_path="public")
    cut_short = loader.transaction()
    await cut_short.start()
    xid = await loader.fetchval("SELECT pg_current_xact_id()::text")
    note = "INSERT INTO ratchet.growth (id, rows, xid) VALUES ('t0-grow', 7, $1::text::xid8)"
    await server.fetchval(note, xid)
    loader.terminate()
    database = TargetDatabase(server.superuser_dsn, data=data())
    assert await database.grow(STREAMS, growth_id="t0-grow") == ROWS
    assert await server.fetchval(MESSAGES) == 160


async def test_a_growth_under_way_elsewhere_is_waited_for(server: Server) -> None:
    one, other = (TargetDatabase(server.superuser_dsn, data=data()) for _ in range(2))
    loader = await connect_harness(server.superuser_dsn, search_path="public")
    under_way = loader.transaction()
    await under_way.start()
    xid = await loader.fetchval("SELECT pg_current_xact_id()::text")
    note = "INSERT INTO ratchet.growth (id, rows, xid) VALUES ('t0-grow', 7, $1::text::xid8)"
    await server.fetchval(note, xid)
    waiting = asyncio.create_task(one.grow(STREAMS, growth_id="t0-grow"))
    assert await other.grow(STREAMS, growth_id="t1-grow") == ROWS
    assert not waiting.done()
    await under_way.commit()
    assert await waiting == 7
    await loader.close()


async def test_a_profile_without_data_grows_nothing(server: Server) -> None:
    database = TargetDatabase(server.superuser_dsn, data=data())
    profile = catalogue().profile("pool_exhaustion")
    assert await database.grow(profile, growth_id="t0-grow") == 0


async def test_a_refused_growth_leaves_nothing_and_says_why(server: Server) -> None:
    database = TargetDatabase(server.superuser_dsn, data=data())
    await server.execute("INSERT INTO users (id, name) VALUES (3000000007, 'in the way')")
    with pytest.raises(PortError, match=r"database: the data of t0-grow .*\"users_pkey\""):
        await database.grow(STREAMS, growth_id="t0-grow")
    assert await server.fetchval("SELECT count(*) FROM users WHERE id >= 3000000000") == 1
    with pytest.raises(PortError, match="cont: unknown key; did you mean count"):
        await database.grow(
            replace(STREAMS, growth={"users": {"first": 1, "cont": 2}}), growth_id="t0-grow"
        )


async def test_opening_accounts_are_noted_once(server: Server) -> None:
    database = TargetDatabase(server.superuser_dsn, data=data(), usage=USAGE)
    await database.grow(STREAMS, growth_id="t0-grow")
    account = "SELECT tokens FROM ratchet.opening_usage WHERE user_id = 3000000000"
    opened = await server.fetchval(account)
    assert opened > 0
    await server.execute("UPDATE users SET token_usage = 5 WHERE id = 3000000000")
    await database.grow(catalogue().profile("pool_exhaustion"), growth_id="t1-grow")
    assert await server.fetchval(account) == opened


async def take_every_slot(server: Server) -> list[asyncpg.Connection[Any]]:
    hoard: list[asyncpg.Connection[Any]] = []
    try:
        while True:
            hoard.append(await asyncpg.connect(server.addresses.app_dsn))
    except asyncpg.TooManyConnectionsError:
        return hoard


async def test_a_kept_connection_loads_although_the_app_holds_every_slot(server: Server) -> None:
    async with TargetDatabase(server.superuser_dsn, data=data()) as database:
        hoard = await take_every_slot(server)
        try:
            assert await database.grow(STREAMS, growth_id="t0-grow") == ROWS
        finally:
            for connection in hoard:
                await connection.close()


async def test_a_trigger_of_the_app_does_not_run_as_superuser(server: Server) -> None:
    await server.execute(
        "CREATE TABLE seen (who text, super text)",
        """CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO seen VALUES (session_user, current_setting('is_superuser'));
           RETURN NEW; END $$""",
        "CREATE TRIGGER spy BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION spy()",
    )
    try:
        database = TargetDatabase(server.superuser_dsn, data=data())
        await database.grow(STREAMS, growth_id="t0-grow")
        seen = "SELECT DISTINCT who || ' ' || super FROM seen"
        assert await server.fetchval(seen) == "ratchet_harness off"
    finally:
        await server.execute("DROP TABLE seen", "DROP FUNCTION spy CASCADE")


async def test_the_apps_role_cannot_reach_what_is_the_harnesss(server: Server) -> None:
    superuser = await connect_superuser(server.superuser_dsn)
    await superuser.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await server.execute("SELECT * FROM ratchet.growth")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await server.execute("SET ROLE ratchet_harness")
