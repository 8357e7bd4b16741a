"""chat-db-app on a Unix socket, as delivered or changed, with a seeded database and a ledger."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from campaign.adapters.database.audits import AuditDatabase
from campaign.adapters.database.connections import connect_harness
from campaign.adapters.database.ledger_file import KeptWrite, LedgerFile
from campaign.gates import GateRunner, prepare_gates
from campaign.gates.client import connected
from campaign.gates.discovery import Assertion, assertions
from campaign.model import AssertionResult, AssertionState
from loadgen.chat_db_app.texts import token_count
from tests.integration.database_kit import Server, catalogue

_HEALTHY_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A replacement in a file of the app: what an operator could have done to it."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A seeded database, a place for what is kept of a campaign, and a way to audit an app."""

    server: Server
    folder: Path
    database: AuditDatabase

    @property
    def document(self) -> Path:
        return self.folder / "openapi.json"

    def runner(self, app_socket: Path, *, only: str | None = None) -> GateRunner:
        """Of all assertions, or of the one with this name."""

        def find(gate: str, *, target: str) -> list[Assertion]:
            found = assertions(gate, target=target)
            return [assertion for assertion in found if only in {None, assertion.name}]

        return GateRunner(
            app_socket=app_socket,
            database=self.database,
            target="chat_db_app",
            document=self.document,
            cache_dir=self.folder / "cache",
            seed=7,
            # A machine that is busy with other tests is no app that is wrong.
            patience_s=60.0,
            find=find,
        )

    async def acknowledge(self, app_socket: Path, *, writes: int) -> None:
        """Write messages as the load generator does, and note what was acknowledged."""
        file = LedgerFile(self.folder / "ledger.jsonl")
        file.begin(await self.server.fetchval("SELECT id::text FROM ratchet.incarnation"))
        async with connected(app_socket) as client:
            for user in range(1, writes + 1):
                content = f"the deploy finished for customer {user}"
                path = f"/api/conversations/{user}/messages"
                answer = await client.request("POST", path, user=user, json={"content": content})
                answer.expect_status(201)
                file.append([_kept(user, answer.json()["id"], token_count(content))])


def _kept(user: int, message_id: int, tokens: int) -> KeptWrite:
    return KeptWrite(
        message_id=message_id,
        conversation_id=user,
        user_id=user,
        tokens=tokens,
        acked_at=time.time(),
    )


@asynccontextmanager
async def staged(server: Server) -> AsyncIterator[Stage]:
    """With the unmodified app's document and some of its acknowledged writes on record."""
    with tempfile.TemporaryDirectory(prefix="ratchet-gates-") as name:
        connection = await connect_harness(server.superuser_dsn)
        await connection.close()
        superuser = await asyncpg.connect(server.superuser_dsn)
        await superuser.execute("INSERT INTO ratchet.incarnation DEFAULT VALUES")
        await superuser.execute(
            "INSERT INTO ratchet.opening_usage SELECT id, token_usage FROM public.users"
        )
        await superuser.close()
        # As after a growth: ids go on from those of the newest profile.
        await server.execute(
            "INSERT INTO users (id, name) VALUES (10000000000, 'User 10000000000')",
            "SELECT setval('users_id_seq', 10000000000)",
        )
        ledger_file = Path(name) / "ledger.jsonl"
        async with AuditDatabase(server.superuser_dsn, ledger_file=ledger_file) as database:
            stage = Stage(server=server, folder=Path(name), database=database)
            async with serving(server) as app_socket:
                await prepare_gates(
                    app_socket, document=stage.document, cache_dir=stage.folder / "cache"
                )
                await stage.acknowledge(app_socket, writes=20)
            yield stage


@asynccontextmanager
async def serving(server: Server, *changes: Change) -> AsyncIterator[Path]:
    """The app with these changes; gives its socket once it is healthy."""
    with tempfile.TemporaryDirectory(prefix="ratchet-app-") as name:
        source = _changed(Path(name), changes)
        path = Path(name) / "app.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(4096)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "main.py"),
            cwd=source,
            env={
                **os.environ,
                "DATABASE_URL": server.addresses.app_dsn,
                "LISTEN_FD": str(listener.fileno()),
                "DRAIN_S": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            pass_fds=(listener.fileno(),),
            stderr=asyncio.subprocess.DEVNULL,
        )
        listener.close()
        try:
            await _until_healthy(path)
            yield path
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()


def _changed(folder: Path, changes: Sequence[Change]) -> Path:
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "tests")
    shutil.copytree(catalogue().target.app_dir, source, ignore=ignored)
    for change in changes:
        file = source / change.file
        text = file.read_text()
        assert text.count(change.old) == 1, f"{change.old!r} is not once in {change.file}"
        file.write_text(text.replace(change.old, change.new))
    return source


async def _until_healthy(path: Path) -> None:
    async with connected(path) as client:
        answer = await client.request("GET", "/healthz", timeout_s=_HEALTHY_WITHIN_S)
        answer.expect_status(200)


async def audited(runner: GateRunner, audit: str = "1", *, trial: int = 0) -> list[AssertionResult]:
    return [result async for result in runner.audit(trial, audit)]


def failed(results: Sequence[AssertionResult]) -> dict[str, str]:
    """Name and message of all that did not pass."""
    return {
        result.name: f"{result.state}: {result.message}"
        for result in results
        if result.state is not AssertionState.PASS
    }
