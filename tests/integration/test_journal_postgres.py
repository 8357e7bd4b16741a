from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from campaign.adapters.journal import (
    BrokenChainError,
    JournalFailedError,
    JournalInUseError,
    NewerJournalError,
    NoJournalError,
    open_journal,
    open_reader,
)
from campaign.identity import DATABASE_USER, identity_for
from campaign.model import ActionTaken, ComponentUp, Event, StopRequested
from campaign.stack.folders import private_folder
from campaign.stack.places import make_socket_folder
from campaign.stack.postgres import Cluster
from campaign.stack.programs import find_postgres
from campaign.stack.service import Service


@pytest.fixture(scope="module")
def reachable() -> Iterator[Path]:
    """pytest's own folders are private (0700), so that Postgres' user could not enter them."""
    folder = make_socket_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cluster(reachable: Path) -> Cluster:
    made = Cluster(
        programs=find_postgres(),
        pgdata=reachable / "pgdata",
        identity=identity_for(DATABASE_USER),
    )
    asyncio.run(made.initialise())
    return made


@pytest.fixture
async def url(cluster: Cluster, reachable: Path) -> AsyncIterator[str]:
    """A fresh database on a running server."""
    sockets = private_folder(reachable / "pg", cluster.identity, mode=0o711)
    service = Service(cluster.service(socket_dir=sockets, log_file=reachable / "postgres.log"))
    await service.start()
    maintenance = cluster.addresses(sockets).maintenance_dsn
    await _execute(maintenance, "DROP DATABASE IF EXISTS journal", "CREATE DATABASE journal")
    yield maintenance.replace("/postgres?", "/journal?")
    await service.stop()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _events(count: int) -> list[Event]:
    return [ComponentUp(at=n / 3, trial=0, component=f"c{n}") for n in range(1, count + 1)]


async def _write(url: str, events: list[Event]) -> None:
    async with open_journal(url) as journal:
        for event in events:
            await journal.append(event)


async def test_a_journal_in_postgres_is_written_followed_and_taken_up_again(url: str) -> None:
    async with open_journal(url) as journal, open_reader(url) as reader:
        assert [await journal.append(event) for event in _events(3)] == [1, 2, 3]
        assert _events(3) == await reader.read()
        assert _events(3)[2:] == await reader.read(after=2)
    async with open_journal(url) as journal:
        assert await journal.append(StopRequested(at=4.0)) == 4
        assert [*_events(3), StopRequested(at=4.0)] == await journal.read()


async def test_odd_text_and_numbers_survive_postgres(url: str) -> None:
    event = ActionTaken(
        at=0.1 + 0.2,
        trial=0,
        ticket="T001",
        session=1,
        tool="shell",
        arguments={"n": float("inf"), "big": 10**30},
        result="nul \0, line \u2028, 😀",
        is_error=False,
        duration_s=1e-300,
    )
    await _write(url, [event])
    async with open_reader(url) as reader:
        assert [event] == await reader.read()


async def test_a_second_writer_is_told_the_first_ones_pid(url: str) -> None:
    async with open_journal(url):
        message = f"campaign journal is in use by pid {os.getpid()}"
        with pytest.raises(JournalInUseError, match=message):
            await _write(url, [])
    await _write(url, [])


async def test_a_writer_that_lost_its_session_and_with_it_the_lock_writes_no_more(
    url: str,
) -> None:
    async with open_journal(url) as journal:
        await journal.append(StopRequested(at=1.0))
        await _execute(
            url,
            # Not before it is gone: until then it may still hold the lock.
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE application_name LIKE 'ratchet journal writer%'",
        )
        for _ in range(2):
            with pytest.raises(JournalFailedError):
                await journal.append(StopRequested(at=2.0))
        await _write(url, [StopRequested(at=3.0)])
    async with open_reader(url) as reader:
        assert [StopRequested(at=1.0), StopRequested(at=3.0)] == await reader.read()


async def test_a_changed_row_is_refused(url: str) -> None:
    await _write(url, _events(3))
    await _execute(url, "UPDATE events SET at = at + 1 WHERE seq = 2")
    with pytest.raises(BrokenChainError, match="event 2 does not match its hash"):
        await _write(url, [])


async def test_a_newer_or_missing_journal_is_said_so(url: str) -> None:
    with pytest.raises(NoJournalError):
        async with open_reader(url):
            pass
    await _write(url, [])
    await _execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerJournalError):
        await _write(url, [])


async def test_a_database_that_cannot_be_reached_is_said_so(url: str, tmp_path: Path) -> None:
    nowhere = f"postgresql://nobody@/nothing?host={tmp_path}"
    with pytest.raises(JournalFailedError):
        await _write(nowhere, [])
    with pytest.raises(JournalFailedError, match="does not exist"):
        await _write(url.replace("/journal?", "/nothing?"), [])
