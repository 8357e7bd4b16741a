"""Snapshots of a real database: what was copied while it ran comes back as it was."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from campaign.adapters.database import Contents, differences, standstill
from campaign.ports import PortError
from campaign.stack import (
    PGDATA,
    NoSnapshotError,
    SnapshotStore,
    StackError,
    StoredSnapshot,
    snapshot,
)
from campaign.stack.copies import restore
from tests.integration.database_kit import Server, running_server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running_server() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots.db")


@dataclass
class Taken:
    contents: Contents
    added_bytes: int


async def _contents(server: Server) -> Contents:
    async with standstill(server.superuser_dsn) as contents:
        return contents


async def _take(server: Server, store: SnapshotStore, name: str) -> Taken:
    """As the rig does it."""
    copy = server.cluster.pgdata.with_name("copy")
    async with standstill(server.superuser_dsn) as contents:
        await snapshot(server.cluster, socket_dir=server.addresses.socket_dir, to=copy)
        kept = await asyncio.to_thread(store.add, name, {PGDATA: copy}, facts=contents.as_json())
    await asyncio.to_thread(shutil.rmtree, copy)
    return Taken(contents=contents, added_bytes=kept.added_bytes)


async def _go_back(server: Server, store: SnapshotStore, name: str) -> Contents:
    await server.stop()
    await restore(StoredSnapshot(store=store, name=name), server.cluster)
    await server.start()
    return await _contents(server)


async def test_a_restored_database_holds_what_it_held(server: Server, store: SnapshotStore) -> None:
    taken = await _take(server, store, "t0")
    await server.execute(
        "DELETE FROM notifications WHERE id % 7 = 0",
        "UPDATE users SET token_usage = token_usage + 1 WHERE id = 5",
        "INSERT INTO notifications (user_id, kind, title, body) VALUES (1, 'reply', 'a', 'b')",
        "CREATE INDEX late ON messages (user_id)",
    )
    changed = await _contents(server)
    assert differences(taken.contents, changed)
    assert differences(taken.contents, await _go_back(server, store, "t0")) == ()
    await server.execute("INSERT INTO users (name, segment) VALUES ('new', 'free')")


async def test_each_difference_is_named(server: Server) -> None:
    before = await _contents(server)
    await server.execute(
        "UPDATE users SET token_usage = token_usage + 1 WHERE id = 5",
        "CREATE INDEX late ON messages (user_id)",
        "SELECT nextval('users_id_seq')",
        "ALTER TABLE conversations ADD COLUMN note text",
    )
    told = "\n".join(differences(before, await _contents(server)))
    assert "table public.users: 2000 rows" in told
    assert "index public.late: CREATE INDEX late" in told
    assert "recorded was nothing" in told
    assert "sequence public.users_id_seq" in told
    assert "note text" in told
    assert "public.notifications" not in told


async def test_the_order_of_rows_is_no_difference(server: Server) -> None:
    await server.execute("CREATE TABLE pairs (a int, b text)", "INSERT INTO pairs VALUES (1, 'x')")
    await server.execute("INSERT INTO pairs VALUES (2, 'y')")
    first = (await _contents(server)).facts["table public.pairs"]
    await server.execute("TRUNCATE pairs", "INSERT INTO pairs VALUES (2, 'y'), (1, 'x')")
    assert (await _contents(server)).facts["table public.pairs"] == first


async def test_a_second_snapshot_costs_what_changed(server: Server, store: SnapshotStore) -> None:
    first = await _take(server, store, "t0")
    await server.execute("UPDATE users SET token_usage = token_usage + 1 WHERE id = 5")
    second = await _take(server, store, "t1")
    assert second.added_bytes < first.added_bytes / 4
    assert differences(first.contents, await _go_back(server, store, "t0")) == ()
    assert differences(second.contents, await _go_back(server, store, "t1")) == ()


async def test_nobody_writes_while_it_stands_still(server: Server) -> None:
    writer = await asyncpg.connect(server.addresses.app_dsn)
    try:
        async with standstill(server.superuser_dsn):
            assert await writer.fetchval("SELECT count(*) FROM users") == 2000
            await writer.execute("SET lock_timeout = '100ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await writer.execute("UPDATE users SET name = 'x' WHERE id = 1")
        await writer.execute("UPDATE users SET name = 'x' WHERE id = 1")
    finally:
        await writer.close()


async def test_an_app_that_goes_on_writing_cannot_be_copied(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaign.adapters.database.contents._SETTINGS", {"lock_timeout": "100ms"})
    writer = await asyncpg.connect(server.addresses.app_dsn)
    try:
        async with writer.transaction():
            await writer.execute("UPDATE users SET name = 'x' WHERE id = 1")
            with pytest.raises(PortError, match="still writes"):
                await _contents(server)
    finally:
        await writer.close()


async def test_what_was_never_kept_cannot_be_restored(server: Server, store: SnapshotStore) -> None:
    with pytest.raises(NoSnapshotError):
        await restore(StoredSnapshot(store=store, name="t7"), server.cluster)


def test_a_damaged_file_is_an_error_that_names_it(store: SnapshotStore) -> None:
    store.path.write_text("no database at all, but long enough to be looked at")
    with pytest.raises(StackError, match=r"snapshots\.db cannot be read"):
        store.find("t0")
