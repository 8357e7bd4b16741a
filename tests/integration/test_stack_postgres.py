from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import pytest

from campaign.identity import DATABASE_USER, identity_for
from campaign.stack.copies import clone, snapshot
from campaign.stack.errors import MissingProgramError, NotEnoughSpaceError, UnreachableFolderError
from campaign.stack.folders import private_folder
from campaign.stack.log_bound import LogBound, aside, cut
from campaign.stack.places import make_socket_folder
from campaign.stack.postgres import SUPERUSER, Cluster
from campaign.stack.programs import find_postgres
from campaign.stack.service import Service
from campaign.stack.template import TemplateRecipe, TemplateStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from campaign.stack.postgres import PostgresAddresses

_ROOT = os.geteuid() == 0


@dataclass
class Populating:
    """Fills a database and counts how often it was asked to."""

    times: int = 0

    async def __call__(self, dsn: str) -> None:
        self.times += 1
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE notes AS SELECT generate_series(1, 1000) AS id")
        await connection.close()


@dataclass(frozen=True)
class Server:
    cluster: Cluster
    service: Service
    addresses: PostgresAddresses


@pytest.fixture(scope="module")
def reachable() -> Iterator[Path]:
    """pytest's own folders are private (0700), so that Postgres' user could not enter them."""
    folder = make_socket_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def store(reachable: Path) -> TemplateStore:
    return TemplateStore(
        cache_dir=reachable / "cache",
        programs=find_postgres(),
        identity=identity_for(DATABASE_USER),
    )


@pytest.fixture
async def server(store: TemplateStore, reachable: Path) -> AsyncIterator[Server]:
    recipe = TemplateRecipe(key="notes", populate=Populating())
    cluster = await store.fresh(recipe, reachable / "pgdata")
    sockets = private_folder(reachable / "pg", cluster.identity, mode=0o711)
    service = Service(cluster.service(socket_dir=sockets, log_file=reachable / "postgres.log"))
    await service.start()
    yield Server(cluster=cluster, service=service, addresses=cluster.addresses(sockets))
    await service.stop()


async def _fetch(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_the_app_owns_its_database_and_is_no_superuser(server: Server) -> None:
    dsn = server.addresses.app_dsn
    assert await _fetch(dsn, "SELECT current_user || ' ' || current_database()") == "chat chat"
    assert await _fetch(dsn, "SELECT count(*) FROM notes") == 1000
    assert not await _fetch(dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await _fetch(dsn, "SELECT pg_read_file('ratchet.password')")


async def test_the_superuser_needs_the_password(server: Server) -> None:
    sockets = str(server.addresses.socket_dir)
    for wrong in ("", "guess"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InternalClientError)):
            await asyncpg.connect(host=sockets, user=SUPERUSER, database="chat", password=wrong)


async def test_the_app_role_gets_into_no_other_database(server: Server) -> None:
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InternalClientError)):
        await asyncpg.connect(
            host=str(server.addresses.socket_dir), user="chat", database="postgres", password=""
        )


async def test_secrets_are_neither_printed_nor_readable(server: Server) -> None:
    assert server.cluster.password not in repr(server.addresses)
    mode = (server.cluster.pgdata / "ratchet.password").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(server.cluster.pgdata.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("max_connections", "100"),
        ("superuser_reserved_connections", "3"),
        ("wal_level", "replica"),
        ("full_page_writes", "on"),
        ("auto_explain.log_min_duration", "250ms"),
    ],
)
async def test_settings_are_what_the_design_asks_for(
    server: Server, setting: str, value: str
) -> None:
    assert await _fetch(server.addresses.maintenance_dsn, f"SHOW {setting}") == value


@pytest.mark.parametrize("way", ["superuser_dsn", "maintenance_dsn"])
async def test_statement_statistics_can_be_read_in_both_databases(server: Server, way: str) -> None:
    assert await _fetch(getattr(server.addresses, way), "SELECT count(*) FROM pg_stat_statements")


async def test_a_slow_statement_is_explained_in_the_log(server: Server, reachable: Path) -> None:
    await _fetch(server.addresses.app_dsn, "SELECT count(*) FROM notes, pg_sleep(0.3)")
    log = (reachable / "postgres.log").read_text()
    told = re.search(r"chat@chat LOG:  duration: (\d+\.\d+) ms", log)
    assert told is not None
    assert float(told[1]) >= 250
    assert "Query Text: SELECT count(*) FROM notes, pg_sleep(0.3)" in log


async def test_a_flood_of_failing_statements_does_not_fill_the_disk(
    server: Server, reachable: Path
) -> None:
    log = reachable / "postgres.log"
    bound = LogBound(
        path=log,
        put_aside=lambda: cut(log, limit_bytes=1 << 20),
        limit_bytes=1 << 20,
        period_s=0.02,
    )
    bound.begin()
    connection = await asyncpg.connect(server.addresses.app_dsn)
    try:
        for number in range(40):
            with pytest.raises(asyncpg.UndefinedColumnError):
                await connection.execute(f"SELECT {'x' * 200_000}_{number}")
            async with asyncio.timeout(20):
                while log.stat().st_size > 1 << 20:  # noqa: ASYNC110 - the bound's doing
                    await asyncio.sleep(0.01)
    finally:
        await connection.close()
        await bound.close()
    # 8 MB were written.
    assert log.stat().st_size <= 1 << 20
    assert 0 < aside(log).stat().st_size <= 1 << 20


async def test_when_the_app_holds_every_slot_only_the_superuser_gets_in(server: Server) -> None:
    held = [await asyncpg.connect(server.addresses.app_dsn) for _ in range(97)]
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await asyncpg.connect(server.addresses.app_dsn)
        assert await _fetch(server.addresses.superuser_dsn, "SELECT 1") == 1
    finally:
        await asyncio.gather(*(connection.close() for connection in held))


async def test_what_was_acknowledged_survives_a_kill_of_the_server(server: Server) -> None:
    await _fetch(server.addresses.app_dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.service.pid is not None
    os.kill(server.service.pid, signal.SIGKILL)
    await server.service.ended()
    await _start_again(server.service)
    assert await _fetch(server.addresses.app_dsn, "SELECT answer FROM kept") == 42


async def _start_again(service: Service) -> None:
    """As the stack's keeper does: what the dead one held may take a moment to be let go."""
    async with asyncio.timeout(20):
        while service.pid is None:
            try:
                await service.start()
            except Exception:  # noqa: BLE001 - whatever it was, the time limit tells
                await asyncio.sleep(0.2)


async def test_a_stop_is_fast_though_clients_are_connected(server: Server) -> None:
    idle = await asyncpg.connect(server.addresses.app_dsn)
    async with asyncio.timeout(10):
        await server.service.stop()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await idle.fetchval("SELECT 1")


async def test_a_template_is_built_once_even_when_two_ask_at_the_same_time(
    store: TemplateStore, reachable: Path
) -> None:
    populating = Populating()
    recipe = TemplateRecipe(key="asked for twice", populate=populating)
    first, second = await asyncio.gather(
        store.fresh(recipe, reachable / "one"), store.fresh(recipe, reachable / "two")
    )
    assert populating.times == 1
    assert first.exists
    assert second.exists


async def test_a_template_that_could_not_be_filled_is_not_kept(
    store: TemplateStore, reachable: Path
) -> None:
    async def refuse(dsn: str) -> None:
        raise RuntimeError(dsn)

    with pytest.raises(RuntimeError):
        await store.fresh(TemplateRecipe(key="second try", populate=refuse), reachable / "three")
    populating = Populating()
    await store.fresh(TemplateRecipe(key="second try", populate=populating), reachable / "three")
    assert populating.times == 1


async def test_only_the_templates_used_last_are_kept(store: TemplateStore, reachable: Path) -> None:
    async def nothing(dsn: str) -> None:
        del dsn

    for number in range(5):
        recipe = TemplateRecipe(key=f"number {number}", populate=nothing)
        await store.fresh(recipe, reachable / "four")
    kept = [entry for entry in (reachable / "cache" / "templates").iterdir() if entry.is_dir()]
    assert len(kept) == 4


async def test_a_snapshot_of_a_running_database_can_be_cloned_and_started(
    server: Server, reachable: Path
) -> None:
    await _fetch(server.addresses.app_dsn, "CREATE TABLE before AS SELECT 1 AS n")
    sockets = server.addresses.socket_dir
    taken = await snapshot(server.cluster, socket_dir=sockets, to=reachable / "snapshot")
    await _fetch(server.addresses.app_dsn, "CREATE TABLE after AS SELECT 1 AS n")

    copy = await clone(taken, reachable / "replayed")
    other = private_folder(reachable / "pg2", copy.identity, mode=0o711)
    service = Service(copy.service(socket_dir=other, log_file=reachable / "replayed.log"))
    await service.start()
    try:
        dsn = copy.addresses(other).superuser_dsn
        assert await _fetch(dsn, "SELECT n FROM before") == 1
        assert await _fetch(dsn, "SELECT to_regclass('after')") is None
    finally:
        await service.stop()


async def test_a_cluster_of_another_version_is_refused_by_name(
    store: TemplateStore, reachable: Path
) -> None:
    recipe = TemplateRecipe(key="notes", populate=Populating())
    cluster = await store.fresh(recipe, reachable / "old")
    (cluster.pgdata / "PG_VERSION").write_text("9\n")
    with pytest.raises(MissingProgramError, match="was made by PostgreSQL 9"):
        cluster.service(socket_dir=reachable / "pg", log_file=reachable / "old.log")


async def test_a_full_disk_is_refused_before_anything_is_written(
    store: TemplateStore, reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaign.stack.places.free_bytes", lambda _: 1_000_000_000)
    recipe = TemplateRecipe(key="notes", populate=Populating())
    with pytest.raises(NotEnoughSpaceError, match=r"1\.0 GB free, a campaign needs 2\.1 GB"):
        await store.fresh(recipe, reachable / "full")
    assert not (reachable / "full").exists()


@pytest.mark.skipif(not _ROOT, reason="an ordinary user's Postgres runs as that user")
async def test_a_cache_that_the_server_cannot_reach_is_refused(
    store: TemplateStore, reachable: Path
) -> None:
    closed = reachable / "closed"
    closed.mkdir(mode=0o700)
    apart = TemplateStore(
        cache_dir=closed / "cache", programs=store.programs, identity=store.identity
    )
    with pytest.raises(UnreachableFolderError, match="user postgres cannot reach"):
        await apart.fresh(TemplateRecipe(key="x", populate=Populating()), reachable / "five")
