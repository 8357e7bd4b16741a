"""The supervisor with the real target app and a Postgres of its own."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from campaign.identity import DATABASE_USER, app_identity, identity_for
from campaign.stack.errors import MissingProgramError
from campaign.stack.postgres import Cluster, PostgresAddresses, prepare_roles
from campaign.stack.programs import find_postgres
from campaign.stack.service import Service
from campaign.supervisor import find_interpreter, prepare_wheels
from tests.integration.supervisor_kit import (
    NO_SANDBOX,
    REPOSITORY,
    caches,
    private_folder,
    session,
    supervised,
)

APP = REPOSITORY / "target_apps" / "chat_db_app"
USER = {"X-User-Id": "1"}

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}"),
]


@asynccontextmanager
async def postgres() -> AsyncIterator[PostgresAddresses]:
    try:
        programs = find_postgres()
    except MissingProgramError as error:
        pytest.skip(str(error))
    folder = private_folder()
    identity = identity_for(DATABASE_USER)
    cluster = Cluster(programs=programs, pgdata=folder / "data", identity=identity)
    sockets = folder / "sockets"
    sockets.mkdir()
    sockets.chmod(0o777)
    await cluster.initialise()
    service = Service(cluster.service(socket_dir=sockets, log_file=folder / "postgres.log"))
    await service.start()
    try:
        addresses = cluster.addresses(sockets)
        await prepare_roles(addresses)
        yield addresses
    finally:
        await service.stop()
        shutil.rmtree(folder)


def source(folder: Path, name: str) -> Path:
    """Copy the app as a deployment would see it."""
    target = folder / "sources" / name
    shutil.copytree(APP, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return target


def wheels_of_the_app() -> None:
    wheels = caches() / "wheels"
    if not list(wheels.glob("asyncpg-*")):
        python = find_interpreter(app_identity()).path
        prepare_wheels(APP / "requirements.txt", wheels, python=python)


async def write_messages(
    path: Path, stop: asyncio.Event, failures: list[str], written: list[int]
) -> None:
    """Write on fresh connections: a POST is never sent twice."""
    while not stop.is_set():
        async with session(path) as http:
            try:
                async with http.post(
                    "http://app/api/conversations/1/messages",
                    json={"content": "hello"},
                    headers=USER,
                ) as response:
                    body = await response.json()
                    response.raise_for_status()
                    written.append(body["id"])
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                failures.append(repr(error))


async def test_the_chat_app_is_redeployed_under_writes_without_losing_one() -> None:
    wheels_of_the_app()
    async with (
        postgres() as database,
        supervised(
            database_dir=str(database.socket_dir),
            environment={"DATABASE_URL": "postgresql://chat@/chat?host=/run/postgresql"},
        ) as stage,
    ):
        result = await stage.deploy(source(stage.folder, "first"))
        assert result.ok, result
        await _create_conversation(stage.app_socket)
        stop = asyncio.Event()
        failures: list[str] = []
        written: list[int] = []
        writers = [
            asyncio.create_task(write_messages(stage.app_socket, stop, failures, written))
            for _ in range(8)
        ]
        for name in ("second", "third"):
            result = await stage.deploy(source(stage.folder, name))
            assert (result.ok, result.drained_first) == (True, False), result
        stop.set()
        await asyncio.gather(*writers)
        assert failures == []
        admin = await asyncpg.connect(database.superuser_dsn)
        kept = {row["id"] for row in await admin.fetch("SELECT id FROM messages")}
        await admin.close()
        assert len(written) > 20
        assert set(written) <= kept


async def test_the_chat_app_is_drained_first_when_it_holds_every_connection() -> None:
    wheels_of_the_app()
    async with (
        postgres() as database,
        supervised(
            database_dir=str(database.socket_dir),
            environment={"DATABASE_URL": "postgresql://chat@/chat?host=/run/postgresql"},
        ) as stage,
    ):
        admin = await asyncpg.connect(database.superuser_dsn)
        await admin.execute("ALTER ROLE chat CONNECTION LIMIT 2")
        assert (await stage.deploy(source(stage.folder, "first"))).ok
        await _fill_the_pool(stage.app_socket, admin)
        result = await stage.deploy(source(stage.folder, "second"))
        await admin.close()
        assert (result.ok, result.drained_first) == (True, True), result
        assert (await stage.client.status()).revision == "second"


async def _fill_the_pool(path: Path, admin: asyncpg.Connection) -> None:
    """Ask for much at once until every connection that the role may have is open."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'chat'"
    async with session(path) as http, asyncio.timeout(20):
        while await admin.fetchval(count) < 2:
            asked = [http.get("http://app/api/users/1", headers=USER) for _ in range(20)]
            for response in await asyncio.gather(*asked):
                await response.read()


async def _create_conversation(path: Path) -> None:
    async with session(path) as http:
        for url, body in (
            ("http://app/api/users", {"name": "Ada", "segment": "free"}),
            ("http://app/api/conversations", {"title": "first"}),
        ):
            async with http.post(url, json=body, headers=USER) as response:
                assert response.status in {200, 201}, await response.text()
