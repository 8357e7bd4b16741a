"""The app's database as the gates use it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from campaign.adapters.database.audits import AuditDatabase
from campaign.adapters.database.ledger_file import KeptWrite, LedgerFile
from campaign.gates import AppFailedError
from tests.integration.database_kit import Server, running_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIGN_UP = "INSERT INTO public.users (name) VALUES ($1) RETURNING id"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def database(server: Server, tmp_path: Path) -> AsyncIterator[AuditDatabase]:
    async with AuditDatabase(server.superuser_dsn, ledger_file=tmp_path / "ledger") as opened:
        yield opened


async def superuser(server: Server, statement: str) -> None:
    connection = await asyncpg.connect(server.superuser_dsn)
    await connection.execute(statement)
    await connection.close()


async def test_it_reads(database: AuditDatabase) -> None:
    (row,) = await database.fetch("SELECT count(*) AS users FROM public.users WHERE id <= $1", 2000)
    assert dict(row) == {"users": 2000}


async def test_what_reads_cannot_write(database: AuditDatabase) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await database.fetch(SIGN_UP, "Eve")


async def test_it_plants_one_after_the_other(database: AuditDatabase, server: Server) -> None:
    planted = await asyncio.gather(*(database.plant(SIGN_UP, f"P{n}") for n in range(8)))
    ids = [row["id"] for rows in planted for row in rows]
    assert len(set(ids)) == 8
    assert await server.fetchval("SELECT count(*) FROM users WHERE id = ANY ($1)", ids) == 8


async def test_it_has_no_more_rights_than_the_databases_owner(database: AuditDatabase) -> None:
    (row,) = await database.fetch("SELECT current_setting('is_superuser') AS it")
    assert row["it"] == "off"
    with pytest.raises(AppFailedError, match="permission denied"):
        await database.fetch("SELECT * FROM pg_authid")


async def test_a_table_that_is_gone_is_the_apps_failure(
    database: AuditDatabase, server: Server
) -> None:
    await server.execute("ALTER TABLE badges RENAME TO icons")
    try:
        with pytest.raises(AppFailedError, match="not what they were"):
            await database.fetch("SELECT * FROM public.badges")
    finally:
        await server.execute("ALTER TABLE icons RENAME TO badges")
    assert list(await database.fetch("SELECT * FROM public.badges")) == []


async def test_it_outlives_a_restart_of_the_server(database: AuditDatabase, server: Server) -> None:
    await server.stop()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await database.fetch("SELECT 1")
    await server.start()
    assert len(await database.fetch("SELECT 1")) == 1


async def test_it_gets_in_while_the_app_holds_every_slot(
    database: AuditDatabase, server: Server
) -> None:
    taken = await all_slots(server)
    try:
        assert len(await database.fetch("SELECT 1")) == 1
        assert len(await database.plant(SIGN_UP, "late")) == 1
    finally:
        for connection in taken:
            await connection.close()


async def all_slots(server: Server) -> list[asyncpg.Connection]:
    taken: list[asyncpg.Connection] = []
    while True:
        try:
            taken.append(await asyncpg.connect(server.addresses.app_dsn))
        except asyncpg.TooManyConnectionsError:
            return taken


async def test_acknowledged_writes_are_this_databases_and_not_written_off(
    database: AuditDatabase, server: Server, tmp_path: Path
) -> None:
    def write(message_id: int) -> KeptWrite:
        return KeptWrite(
            message_id=message_id, conversation_id=1, user_id=1, tokens=1, acked_at=time.time()
        )

    await superuser(server, "INSERT INTO ratchet.incarnation DEFAULT VALUES")
    this = await server.fetchval("SELECT id::text FROM ratchet.incarnation")
    file = LedgerFile(tmp_path / "ledger")
    file.begin("another")
    file.append([write(1)])
    file.begin(this)
    file.append([write(2), write(3), write(4)])
    file.write_off([3])
    assert [kept.message_id for kept in await database.acknowledged()] == [2, 4]


async def test_it_knows_how_long_nothing_has_been_loaded(
    database: AuditDatabase, server: Server
) -> None:
    assert await database.quiet_s() == math.inf
    began = time.monotonic()
    await superuser(
        server,
        "INSERT INTO ratchet.growth (id, rows, xid, at) VALUES"
        " ('g', 1, pg_current_xact_id(), clock_timestamp() - interval '30 s')",
    )
    quiet_s = await database.quiet_s()
    assert 30 <= quiet_s <= 30 + time.monotonic() - began
