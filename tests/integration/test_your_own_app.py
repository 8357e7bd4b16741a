"""The app, the clients and the rows of docs/your-own-app.md, with real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from campaign.identity import DATABASE_USER, identity_for
from campaign.orders import read_catalogue
from campaign.seeding import recipe
from campaign.stack.folders import private_folder
from campaign.stack.places import make_socket_folder
from campaign.stack.postgres import PostgresAddresses
from campaign.stack.programs import find_postgres
from campaign.stack.service import Service
from campaign.stack.template import TemplateStore
from chaos_profiles import PROFILES_VARIABLE, Target
from loadgen.testing import Generator
from loadgen.testing.samples import DONE, ERRORS
from tests.docs_kit import write_own_app


@pytest.fixture
def folder() -> Iterator[Path]:
    """pytest's own folders could not be entered by the app's user."""
    folder = make_socket_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def target(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv(PROFILES_VARIABLE, str(write_own_app(folder)))
    return read_catalogue("notes").target


@asynccontextmanager
async def seeded(target: Target, folder: Path) -> AsyncIterator[PostgresAddresses]:
    """A database as a campaign starts with: the app's own tables, the target's rows."""
    store = TemplateStore(
        cache_dir=folder / "cache",
        programs=find_postgres(),
        identity=identity_for(DATABASE_USER),
    )
    made = recipe(target, source=target.app_dir, revision="first")
    cluster = await store.fresh(made, folder / "pgdata")
    sockets = private_folder(folder / "pg", cluster.identity, mode=0o711)
    service = Service(cluster.service(socket_dir=sockets, log_file=folder / "postgres.log"))
    await service.start()
    try:
        yield cluster.addresses(sockets)
    finally:
        await service.stop()


@asynccontextmanager
async def serving(target: Target, dsn: str, path: Path) -> AsyncIterator[None]:
    """The app, on a Unix socket that it is handed."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "main.py"),
            cwd=target.app_dir,
            env={**os.environ, "DATABASE_URL": dsn, "LISTEN_FD": str(listener.fileno())},
            pass_fds=(listener.fileno(),),
            stdout=asyncio.subprocess.DEVNULL,
        )
    try:
        yield
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_its_clients_read_its_rows_from_its_app(target: Target, folder: Path) -> None:
    async with (
        seeded(target, folder) as database,
        serving(target, database.app_dsn, folder / "app.sock"),
    ):
        connection = await asyncpg.connect(database.superuser_dsn)
        assert await connection.fetchval("SELECT count(*) FROM public.notes") == 2000
        await connection.close()
        # Its clients wait until the app, which is being started, takes what is in its queue.
        config = {
            "app_socket": folder / "app.sock",
            "clients": target.clients,
            "client_timeout_s": 60.0,
        }
        await asyncio.to_thread(_offer_the_base_load, folder, target, config)


def _offer_the_base_load(folder: Path, target: Target, config: dict[str, object]) -> None:
    with Generator(folder, **config) as generator:  # type: ignore[arg-type]
        (canary,) = target.base_load
        generator.offer(
            {"behaviour": canary.behaviour, "users": canary.users, "rate_hz": canary.rate_hz}
        )
        samples = generator.done(8, behaviour="canary", operation="list_notes")
        assert samples.total(DONE) >= 8
        assert samples.total(ERRORS) == 0
