"""Where a journal lies, and the engine that reaches it."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from campaign.adapters.journal.errors import NoJournalError, UnsupportedUrlError

JOURNAL_FILE = "journal.db"

#: begins the application_name of the session that writes, which says who holds the lock
WRITER_NAME = "ratchet journal writer, pid "


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlitePlace:
    """A file in a run's folder."""

    file: Path

    @property
    def run_dir(self) -> Path:
        return self.file.parent

    @property
    def campaign(self) -> str:
        return self.run_dir.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPlace:
    """A database of its own: one journal each."""

    url: URL

    @property
    def campaign(self) -> str:
        return str(self.url.database)


def locate(where: Path | str) -> SqlitePlace | PostgresPlace:
    """A run's folder, or `postgresql://…`, or `sqlite:///path/of/journal.db`.

    Raises:
        UnsupportedUrlError: neither.
    """
    if isinstance(where, Path):
        return SqlitePlace(file=where.absolute() / JOURNAL_FILE)
    try:
        url = make_url(where)
    except ArgumentError as exc:
        raise UnsupportedUrlError(f"{where!r} is no URL; {_EXPECTED}") from exc
    match url.get_backend_name():
        case "postgresql" if url.database:
            return PostgresPlace(url=url.set(drivername="postgresql+asyncpg"))
        case "sqlite" if url.database:
            return SqlitePlace(file=Path(url.database).absolute())
        case _:
            raise UnsupportedUrlError(f"{url!r}; {_EXPECTED}")


_EXPECTED = "give postgresql://user@host/database or sqlite:///path/of/journal.db"


@asynccontextmanager
async def writing_engine(place: SqlitePlace | PostgresPlace) -> AsyncIterator[AsyncEngine]:
    """Every commit reaches the disk before it returns."""
    match place:
        case SqlitePlace(file=file):
            url = URL.create("sqlite+aiosqlite", database=str(file))
            engine = create_async_engine(url)
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
        case PostgresPlace(url=url):
            engine = _postgres(url, application_name=f"{WRITER_NAME}{os.getpid()}")
    async with _disposed(engine):
        yield engine


@asynccontextmanager
async def reading_engine(place: SqlitePlace | PostgresPlace) -> AsyncIterator[AsyncEngine]:
    """It cannot write, and waits for no one who does.

    Raises:
        NoJournalError: there is no such file.
    """
    match place:
        case SqlitePlace(file=file):
            if not file.exists():
                raise NoJournalError(f"{file} does not exist; is this the folder of a run?")
            engine = create_async_engine(_read_only(file))
        case PostgresPlace(url=url):
            name = f"ratchet journal reader, pid {os.getpid()}"
            engine = _postgres(url, application_name=name, default_transaction_read_only="on")
    async with _disposed(engine):
        yield engine


@asynccontextmanager
async def _disposed(engine: AsyncEngine) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await engine.dispose()


def _postgres(url: URL, **settings: str) -> AsyncEngine:
    settings["application_name"] += f" on {socket.gethostname()}"
    return create_async_engine(
        url, connect_args={"server_settings": {"synchronous_commit": "on", **settings}}
    )


def _read_only(file: Path) -> URL:
    """A run kept on a read-only disk has no place for SQLite's shared memory: it cannot change."""
    query = {"uri": "true", "mode": "ro"}
    log = file.with_name(f"{file.name}-wal")
    if not os.access(file.parent, os.W_OK) and not log.exists():
        query = {"uri": "true", "immutable": "1"}
    return URL.create("sqlite+aiosqlite", database=f"file:{quote(str(file))}", query=query)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Write-ahead, each commit synced; transactions are begun by `_begin_sqlite`.

    Left to itself, Python's driver begins no transaction for DDL, and a crash in the middle of a
    migration would leave half of it.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")
