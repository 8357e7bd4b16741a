"""The compose stack's database without its container: `deploy/postgres/start`, a real server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ruamel.yaml import YAML

from campaign.identity import DATABASE_USER, identity_for, launcher
from campaign.stack import ComposePlaces
from campaign.stack.compose import database as module
from campaign.stack.compose.database import ServedDatabase
from campaign.stack.compose.places import GROUP_ID
from campaign.stack.copies import PGDATA
from campaign.stack.folders import hand_over, private_folder
from campaign.stack.log_bound import LogBound, aside
from campaign.stack.places import make_socket_folder
from campaign.stack.postgres import prepare_roles
from campaign.stack.programs import find_postgres
from campaign.stack.snapshots import SnapshotStore

#: fails, and is quoted in the log
_LONG = f"SELECT {{number}}, '{'x' * 200_000}' FROM nowhere"  # noqa: S608 - no input
ROOT = Path(__file__).parents[2]
SERVICE: Any = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())["services"][
    "postgres"
]


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The folders that the volumes are, and the server in them."""

    folder: Path
    password: str

    @property
    def places(self) -> ComposePlaces:
        return ComposePlaces(root=self.folder)

    @property
    def database(self) -> ServedDatabase:
        return ServedDatabase(places=self.places)

    @property
    def volume(self) -> Path:
        return self.folder / "volume"

    def lay_out(self) -> None:
        identity = identity_for(DATABASE_USER)
        places = self.places
        for folder in (
            self.folder,
            self.volume,
            places.database_sockets,
            places.database_log.parent,
            places.exchange,
            places.database_password.parent,
        ):
            folder.mkdir(parents=True, exist_ok=True)
            # What is laid there is of its group, as on the volumes.
            private_folder(folder, identity, mode=0o2777)
        places.database_password.write_text(f"{self.password}\n")
        hand_over(places.database_password, identity)
        bin_dir = self.folder / "bin"
        bin_dir.mkdir()
        entry = bin_dir / "docker-entrypoint.sh"
        entry.write_text('#!/bin/sh\nexec "$@"\n')
        entry.chmod(0o755)

    @property
    def command(self) -> list[str]:
        return [self.moved(str(word)) for word in SERVICE["command"]]

    def moved(self, text: str) -> str:
        """What the containers are told, for folders and a group that are there."""
        places = self.places
        moves = {
            "/etc/postgresql/pg_hba.conf": ROOT / "deploy/postgres/pg_hba.conf",
            "/var/run/postgresql": places.database_sockets,
            "/var/log/postgresql": places.database_log.parent,
            "/exchange/": f"{places.exchange}/",
            "/run/ratchet/database/password": places.database_password,
            f"chgrp -R {GROUP_ID} ": f"chgrp -R {identity_for(DATABASE_USER).gid} ",
        }
        for there, here in moves.items():
            text = text.replace(there, str(here))
        return text

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{find_postgres().bin_dir}:{os.environ['PATH']}"
        return {
            **{name: str(value) for name, value in SERVICE["environment"].items()},
            "PATH": path,
            "PGDATA": str(self.volume / "pgdata"),
            "DATABASE_VOLUME": str(self.volume),
            "DATABASE_EXCHANGE": str(self.places.exchange),
            "POSTGRES_PASSWORD_FILE": str(self.places.database_password),
        }

    @asynccontextmanager
    async def served(self) -> AsyncIterator[ServedDatabase]:
        """Until the end, and once more when it is ended: the restart policy."""
        keeping = asyncio.create_task(self._keep())
        try:
            await self.database.wait_until_ready(timeout_s=60)
            yield self.database
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self) -> None:
        for _ in range(4):
            server = await asyncio.create_subprocess_exec(
                *launcher(identity_for(DATABASE_USER), death_signal="QUIT"),
                str(ROOT / "deploy/postgres/start"),
                *self.command,
                env=self.environment,
                cwd=self.folder,
            )
            try:
                await server.wait()
            except asyncio.CancelledError:
                server.send_signal(signal.SIGINT)
                await server.wait()
                raise


@pytest.fixture
def folder() -> Iterator[Path]:
    """That Postgres's user can enter, and whose sockets have short names."""
    made = make_socket_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


def installation(folder: Path, name: str) -> Installation:
    made = Installation(folder=folder / name, password=f"of-{name}-only")
    made.lay_out()
    return made


async def asked(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_cluster_that_was_half_made_is_made_anew(folder: Path) -> None:
    here = installation(folder, "here")
    bin_dir = here.folder / "bin"
    half = bin_dir / "initdb"
    real = find_postgres().program("initdb")
    # Killed with what it started, as by the end of its container, when its version is there.
    half.write_text(
        "#!/bin/sh\n"
        f'{real} "$@" & made=$!\n'
        'until [ -s "${1#--pgdata=}/PG_VERSION" ]; do kill -0 $made || exit 1; done\n'
        "kill -KILL 0\n"
    )
    half.chmod(0o755)
    done = subprocess.run(  # noqa: ASYNC221 - nothing else goes on
        [*launcher(identity_for(DATABASE_USER)), str(ROOT / "deploy/postgres/start"), "postgres"],
        env=here.environment,
        cwd=here.folder,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    half.unlink()
    async with here.served() as database:
        assert await asked(database.addresses.maintenance_dsn, "SELECT 1") == 1
    assert sorted(path.name for path in here.volume.iterdir()) == ["pgdata"]


async def test_a_snapshot_of_another_installation_opens_with_this_ones_password(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = installation(folder, "there"), installation(folder, "here")
    monkeypatch.setattr(module, "_VOLUME", str(here.volume))
    monkeypatch.setattr(module, "_COPY", there.moved(module._COPY))
    store = SnapshotStore(folder / "snapshots.db")
    async with there.served() as database:
        await prepare_roles(database.addresses)
        await asked(database.addresses.app_dsn, "CREATE TABLE notes AS SELECT 42 AS answer")
        async with database.copy() as copy:
            store.add("trial-1", {PGDATA: copy}, facts="")

    async with here.served() as database:
        await database.install("one", store, "trial-1")
        assert await asked(database.addresses.superuser_dsn, "SELECT answer FROM notes") == 42
        assert await database.owner() == "one"
        stranger = database.addresses.superuser_dsn.replace(here.password, there.password)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asked(stranger, "SELECT 1")


async def test_each_copy_has_a_folder_of_its_own_and_removes_what_others_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that was given up may still be written, and its folder is not ours to remove."""
    here = installation(folder, "here")
    monkeypatch.setattr(module, "_COPY", here.moved(module._COPY))
    monkeypatch.setattr(shutil, "rmtree", lambda *_arguments, **_named: None)
    async with here.served() as database:
        async with database.copy() as first:
            assert (first / "PG_VERSION").exists()
        assert first.exists()
        async with database.copy() as second:
            assert (second / "PG_VERSION").exists()
            assert list(here.places.exchange.iterdir()) == [second]
    monkeypatch.undo()


async def test_what_floods_the_log_is_bounded_and_nothing_of_its_end_is_lost(folder: Path) -> None:
    here = installation(folder, "here")
    async with here.served() as database:
        await prepare_roles(database.addresses)
        path = here.places.database_log
        bound = LogBound(
            path=path, put_aside=database.put_log_aside, limit_bytes=1 << 20, period_s=0.05
        )
        bound.begin()
        try:
            connection = await asyncpg.connect(database.addresses.app_dsn)
            for number in range(40):
                with suppress(asyncpg.UndefinedTableError):
                    await connection.execute(_LONG.format(number=number))
                await _until(lambda: _is_short(path))
            with suppress(asyncpg.UndefinedTableError):
                await connection.execute("SELECT 'the last word' FROM nowhere")
            await connection.close()
            await _until(lambda: "the last word" in _text(path) + _text(aside(path)))
        finally:
            await bound.close()
        logs = {file.name: file.stat().st_size for file in path.parent.iterdir()}
        assert set(logs) == {"postgres.log", "postgres.log.1"}
        # 8 MB were written.
        assert sum(logs.values()) < 4 << 20


async def test_a_log_that_is_begun_anew_meanwhile_takes_the_place_of_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = installation(folder, "here")
    async with here.served() as database:
        path, ask = here.places.database_log, ServedDatabase._asked
        await _until(lambda: bool(_text(path)))
        path.rename(aside(path))
        lines = aside(path).read_text()

        @asynccontextmanager
        async def late(database: ServedDatabase) -> AsyncIterator[asyncpg.Connection[Any]]:
            """The server has done what it was told before."""
            async with ask(database) as connection:
                await connection.execute(module._BEGIN_LOG)
                await _until(path.exists)
                yield connection

        monkeypatch.setattr(ServedDatabase, "_asked", late)
        await database.put_log_aside()
        assert aside(path).read_text().startswith(lines)


def _is_short(path: Path) -> bool:
    """It is there: before the server has begun it anew, what is said goes to the one aside."""
    try:
        return path.stat().st_size <= 1 << 20
    except FileNotFoundError:
        return False


def _text(path: Path) -> str:
    """Between two steps of being put aside there is no such file."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


async def _until(done: Any) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - a server's doing
            await asyncio.sleep(0.01)
