"""The on-call model before a real Postgres: what it asks is answered, what it writes is right."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from campaign.adapters.instruments.database import AppDatabase
from campaign.model import DeploymentOutcome
from tests.fake_messages.oncall import OnCall
from tests.integration.database_kit import Server, running_server
from tests.oncall_faults import FAULTS, HELD, PATTERNED, QUEUED, REFUSED, UNINDEXED
from tests.oncall_kit import Ward

_MESSAGES = """
INSERT INTO messages (conversation_id, user_id, role, content, token_count)
SELECT 1 + n % 1000, 1 + n % 50, 'user', 'words ' || md5(n::text) || ' and more of them', 9
  FROM generate_series(1, 60000) AS n"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_server() -> AsyncIterator[Server]:
    async with running_server() as running:
        await running.execute(_MESSAGES, "ANALYZE messages")
        yield running


@dataclass(kw_only=True)
class LiveWard(Ward):
    """Its database is real; a deployment really runs the schema's statements."""

    server: Server
    #: what keeps the database busy until something better is deployed
    trouble: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def deploy(self, deployment: str, revision: str, source: Path) -> DeploymentOutcome:
        outcome = await super().deploy(deployment, revision, source)
        await self.trouble.aclose()
        await self.server.execute(*_statements(source / "schema.py"))
        return outcome


def _statements(file: Path) -> list[str]:
    spec = importlib.util.spec_from_file_location("edited_schema", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    statements: list[str] = module.statements()
    return statements


def live(server: Server, fault: Any, folder: Path) -> LiveWard:
    database = AppDatabase(server.addresses.app_dsn)
    return LiveWard.of(fault, folder, server=server, database=database)  # type: ignore[return-value]


async def connect(server: Server) -> Any:
    return await asyncpg.connect(server.addresses.app_dsn)


async def end(connection: Any) -> None:
    """Its slot and its locks are free when this returns; who hangs up does not know when."""
    await connection.close()


@asynccontextmanager
async def asking(server: Server, statement: str, *arguments: object) -> AsyncIterator[None]:
    """One client that asks the same again and again."""

    async def ask(connection: Any) -> None:
        while True:
            await connection.fetch(statement, *arguments)

    connection = await connect(server)
    task = asyncio.create_task(ask(connection))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await end(connection)


@asynccontextmanager
async def holding(server: Server, statements: Sequence[tuple[Any, ...]]) -> AsyncIterator[None]:
    """One session that did all that, and then nothing."""
    connection = await connect(server)
    try:
        await connection.execute("BEGIN")
        for statement, *arguments in statements:
            await connection.fetch(statement, *arguments)
        yield
    finally:
        await end(connection)


@asynccontextmanager
async def waiting(server: Server, statement: str, *arguments: object) -> AsyncIterator[None]:
    """One session that waits for a lock."""
    connection = await connect(server)
    task = asyncio.create_task(connection.fetch(statement, *arguments))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await end(connection)


@pytest.mark.parametrize("fault", [UNINDEXED, PATTERNED], ids=["unindexed", "patterned"])
async def test_it_finds_the_missing_index_in_a_real_plan_and_the_database_then_uses_it(
    module_server: Server, tmp_path: Path, fault: Any
) -> None:
    ward = live(module_server, fault, tmp_path)
    statement = fault.statements[0][0]
    arguments = (7,) if fault is UNINDEXED else ("%zephyr%", 7, 50)
    await ward.trouble.enter_async_context(asking(module_server, statement, *arguments))
    async with ward.trouble:
        await ward.work(OnCall())
    assert ward.resolved is not None, ward.last_words
    assert len(ward.deployed) == 1


async def test_it_finds_what_is_waited_for_behind_a_queue_for_a_row(
    module_server: Server, tmp_path: Path
) -> None:
    ward = live(module_server, QUEUED, tmp_path)
    (charge, *_), (_, _, _) = QUEUED.statements
    touch = QUEUED.sessions[1]["query"]
    await ward.trouble.enter_async_context(holding(module_server, [(charge, 1, 5), (touch, 1)]))
    for _ in range(5):
        await ward.trouble.enter_async_context(waiting(module_server, charge, 1, 6))
    async with ward.trouble:
        await ward.work(OnCall())
    assert ward.resolved is not None, ward.last_words
    assert "models.py:add_token_usage" in ward.resolved.places


async def test_it_finds_the_stream_inside_of_transactions_that_idle(
    module_server: Server, tmp_path: Path
) -> None:
    ward = live(module_server, HELD, tmp_path)
    transcribe = HELD.sessions[0]["query"]
    for number in range(5):
        await ward.trouble.enter_async_context(
            holding(module_server, [(transcribe, 100 + number, "user: x\n")])
        )
    async with ward.trouble:
        await ward.work(OnCall())
    assert ward.resolved is not None, ward.last_words


async def test_it_learns_how_many_connections_there_are_though_none_is_left(
    module_server: Server, tmp_path: Path
) -> None:
    ward = live(module_server, replace(REFUSED, app_log=()), tmp_path)
    async with ward.trouble:
        for _ in range(97):
            await ward.trouble.enter_async_context(holding(module_server, []))
        await ward.work(OnCall())
    assert ward.resolved is not None, ward.last_words


async def test_with_all_its_edits_the_apps_own_tests_pass(
    module_server: Server, tmp_path: Path
) -> None:
    folder = None
    for number, fault in enumerate(FAULTS.values()):
        ward = Ward.of(fault, tmp_path / str(number))
        if folder is not None:
            shutil.copytree(folder, ward.folder, dirs_exist_ok=True)
        await ward.work(OnCall())
        assert ward.resolved is not None, ward.last_words
        folder = ward.folder
    await module_server.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    done = await asyncio.to_thread(_own_tests, folder, module_server.addresses.app_dsn)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def _own_tests(folder: Path | None, dsn: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": dsn, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
