"""One writer: a lock on the run's folder, or in the journal's Postgres database."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from campaign.adapters.journal.errors import JournalInUseError
from campaign.adapters.journal.place import WRITER_NAME
from campaign.run_holder import LOCK_FILE, flock, written_pid

#: the key of Postgres' advisory lock, which counts per database: "ratchet" in ASCII
_ADVISORY_KEY = int.from_bytes(b"ratchet")

#: A holder that was killed may need this long to be gone; and `run_holder` holds it for an instant.
_PATIENCE_S = 2.0
_RETRY_S = 0.02


@asynccontextmanager
async def run_lock(run_dir: Path) -> AsyncIterator[None]:
    """Hold the run's folder; the kernel lets go of it however this process ends.

    The file itself stays: were it removed, two processes could lock two files of that name.

    Raises:
        JournalInUseError: another process, or another opener in this one, holds it.
    """
    descriptor = os.open(run_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:

        async def take() -> bool:
            return flock(descriptor, fcntl.LOCK_EX)

        if not await _patiently(take):
            raise JournalInUseError(run_dir.name, written_pid(descriptor))
        _write_pid(descriptor, f"{os.getpid()}\n")
        try:
            yield
        finally:
            _write_pid(descriptor, "")
    finally:
        os.close(descriptor)


async def claim_database(connection: AsyncConnection, *, campaign: str) -> None:
    """Hold the journal's Postgres database for as long as the connection lives.

    Raises:
        JournalInUseError: another session holds it.
    """

    async def take() -> bool:
        statement = text("SELECT pg_try_advisory_lock(:key)")
        return bool(await connection.scalar(statement, {"key": _ADVISORY_KEY}))

    if not await _patiently(take):
        raise JournalInUseError(campaign, await _database_holder(connection))


async def _database_holder(connection: AsyncConnection) -> int | None:
    """From the name that the writing session gave itself (see `place`)."""
    statement = text(
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted"
        " AND (classid::bigint << 32 | objid::bigint) = :key"
        " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    name = str(await connection.scalar(statement, {"key": _ADVISORY_KEY}) or "")
    digits = name.removeprefix(WRITER_NAME).split(" ", 1)[0]
    return int(digits) if digits.isdigit() else None


async def _patiently(take: Callable[[], Awaitable[bool]]) -> bool:
    for _ in range(round(_PATIENCE_S / _RETRY_S)):
        if await take():
            return True
        await asyncio.sleep(_RETRY_S)
    return await take()


def _write_pid(descriptor: int, line: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, line.encode(), 0)
