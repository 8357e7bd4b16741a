"""The database of the compose stack: whose it is, how it is copied, how it is replaced.

Its server runs in a container of its own that nobody can enter. The superuser asks it by SQL to
copy itself (`pg_basebackup`, run by the server) and to end; what it serves next is in an order
that `deploy/postgres/start` carries out before the server starts. So a database is replaced as a
whole, physically, as on the local stack: with its dead rows, its statistics, its sizes.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import asyncpg

from campaign.stack.compose.places import GROUP_ID
from campaign.stack.compose.watch import Alive, Look, Refused, Silent
from campaign.stack.copies import PGDATA
from campaign.stack.errors import ComponentFailedError, StackError
from campaign.stack.places import require_free_space
from campaign.stack.postgres import APP_ROLE, PORT, SUPERUSER, PostgresAddresses, app_dsn

if TYPE_CHECKING:
    from campaign.stack.compose.places import ComposePlaces
    from campaign.stack.snapshots import SnapshotStore

Order = Literal["copy", "fresh", "kept"]

#: in the server's own container
_VOLUME = "/var/lib/postgresql/data"
_EXCHANGE = "/exchange"
_SNAPSHOT = "snapshot"
_PASSWORD = "/run/ratchet/database/password"  # noqa: S105 - a path

#: a server that recovers, or that is made anew, on a busy machine
_START_TIMEOUT_S = 120.0
_COPY_TIMEOUT_S = 300.0
_POLL_S = 0.1
#: the last: a server that ends while a connection to it is being made
_FAILURES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

_STARTED = "SELECT extract(epoch FROM pg_postmaster_start_time())::float8"
#: A program that ended before it was given its line would be an error.
_TAKE = "cat >/dev/null"
_END = f"""COPY (SELECT 1) TO PROGRAM '{_TAKE}; kill -INT "$(head -n 1 postmaster.pid)"'"""
#: A copy that was given up may still be going on: without its folder it ends.
_COPY = f"""COPY (SELECT 1) TO PROGRAM '
    set -e
    {_TAKE}
    rm -rf {_EXCHANGE}/{_SNAPSHOT}* || :
    PGPASSWORD=$(cat {_PASSWORD}) pg_basebackup --pgdata={_EXCHANGE}/{{name}} \
        --host=/var/run/postgresql --port={PORT} --username={SUPERUSER} --wal-method=stream \
        --checkpoint=fast --no-sync --no-password >&2
    chgrp -R {GROUP_ID} {_EXCHANGE}/{{name}}
    chmod -R g+rwX {_EXCHANGE}/{{name}}
'"""
#: The server writes on to the file under its new name, until it is told to look at the old one.
_PUT_LOG_ASIDE = f"""COPY (SELECT 1) TO PROGRAM '
    {_TAKE}
    test ! -e {{log}} || mv -f {{log}} {{log}}.1
'"""
_BEGIN_LOG = "SELECT pg_rotate_logfile()"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedDatabase:
    """The one server there is; it serves one campaign's database at a time."""

    places: ComposePlaces

    @property
    def addresses(self) -> PostgresAddresses:
        password = quote(self.places.database_password.read_text().strip(), safe="")
        where = f"host={self.places.database_sockets}&port={PORT}"
        by = f"postgresql://{SUPERUSER}:{password}@"
        return PostgresAddresses(
            socket_dir=self.places.database_sockets,
            app_dsn=app_dsn(self.places.database_sockets),
            superuser_dsn=f"{by}/{APP_ROLE}?{where}",
            maintenance_dsn=f"{by}/postgres?{where}",
        )

    @property
    def _order(self) -> Path:
        return self.places.exchange / "order"

    async def started_at(self) -> float:
        """Epoch seconds at which the server started; raises what asyncpg does."""
        async with self._asked() as connection:
            return float(await connection.fetchval(_STARTED))

    async def look(self) -> Look:
        """By a new connection each time: a superuser's, which a full server lets in as well."""
        try:
            return Alive(started_at=await self.started_at())
        except (ConnectionRefusedError, FileNotFoundError) as error:
            return Refused(reason=f"is not there: {error.strerror}")
        except asyncpg.CannotConnectNowError as error:
            return Refused(reason=f"takes no connections: {error}")
        except _FAILURES as error:
            return Silent(reason=f"does not answer: {error or type(error).__name__}")

    async def wait_until_ready(self, *, timeout_s: float = _START_TIMEOUT_S) -> float:
        """When it started, as soon as it answers.

        Raises:
            ComponentFailedError: it does not.
        """
        problem = "does not answer"
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        return await self.started_at()
                    except _FAILURES as error:
                        problem = f"does not answer: {error or type(error).__name__}"
                    await asyncio.sleep(_POLL_S)
        raise ComponentFailedError("postgres", f"{problem} ({timeout_s:g} s)")

    async def owner(self) -> str:
        """Whose database is served; empty: nobody's."""
        query = "SELECT pg_read_file($1, 0, 200, true)"
        async with self._asked() as connection:
            return str(await connection.fetchval(query, f"{_VOLUME}/owner") or "").strip()

    async def keeps(self, campaign: str) -> bool:
        """Whether that campaign's database was put aside, and is there."""
        query = "SELECT count(*) FROM pg_stat_file($1, true) AS file WHERE file.isdir"
        async with self._asked() as connection:
            return bool(await connection.fetchval(query, f"{_VOLUME}/kept/{campaign}"))

    async def version(self) -> str:
        async with self._asked() as connection:
            return str(await connection.fetchval("SHOW server_version"))

    async def end(self) -> None:
        """Ask the server to end; its container starts it again.

        Raises:
            ComponentFailedError: it does not do what it is asked.
        """
        before = await self.wait_until_ready()
        # It is ended under this very connection.
        with suppress(*_FAILURES):
            async with self._asked() as connection:
                await connection.execute(_END)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                while await self.wait_until_ready() == before:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise ComponentFailedError("postgres", "does not end when it is told to") from error

    async def serve(self, campaign: str, what: Order) -> None:
        """Replace what is served, and wait until it serves that.

        Raises:
            StackError: it serves something else afterwards.
        """
        new = self._order.with_name(".order.new")
        new.write_text(f"{campaign} {what}\n")
        new.chmod(0o660)
        new.replace(self._order)
        try:
            await self.end()
            if self._order.exists() or await self.owner() != campaign:
                problem = f"the database server did not take up the order: {campaign} {what}"
                raise StackError(problem, hint="its log says why: docker compose logs postgres")
        finally:
            self.withdraw()

    def withdraw(self) -> None:
        """What was ordered and not carried out is not to be, at a start that comes later."""
        self._order.unlink(missing_ok=True)

    async def install(self, campaign: str, store: SnapshotStore, name: str) -> None:
        """Serve what the store holds under that name, wherever it was made.

        Raises:
            StackError: there is no such snapshot, it is damaged or of another major version of
                Postgres, or the disk is full.
        """
        copy = self.places.exchange / "copy"
        try:
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)
            await asyncio.to_thread(store.restore, name, PGDATA, copy)
            await asyncio.to_thread(_let_group_read, copy)
            await self.serve(campaign, "copy")
        finally:
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[Path]:
        """A physical copy as of about now, for as long as the context lasts.

        Raises:
            StackError: it cannot be made.
        """
        # A name of its own, which nothing that is still at work for an earlier one writes to.
        name = f"{_SNAPSHOT}-{secrets.token_hex(4)}"
        require_free_space(self.places.exchange)
        try:
            await self._copy(name)
            yield self.places.exchange / name
        finally:
            path = self.places.exchange / name
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    async def put_log_aside(self) -> None:
        """Begin another log; the one before the last is gone.

        One that is gone was put aside before, and the server is only told again to begin another:
        what it may have begun meanwhile must not take the place of what was put aside.

        Raises:
            StackError: the server cannot be asked.
        """
        log = self.places.database_log
        is_there = log.exists()
        try:
            async with self._asked() as connection:
                if is_there:
                    await connection.execute(_PUT_LOG_ASIDE.format(log=log))
                await connection.execute(_BEGIN_LOG)
        except _FAILURES as error:
            raise StackError(f"the database's log cannot be put aside: {error}") from error

    async def _copy(self, name: str) -> None:
        try:
            async with self._asked() as connection:
                await connection.execute(_COPY.format(name=name), timeout=_COPY_TIMEOUT_S)
        except _FAILURES as error:
            raise StackError(f"the database cannot be copied: {error}") from error

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        connection = await asyncpg.connect(self.addresses.maintenance_dsn, timeout=5)
        try:
            yield connection
        finally:
            with suppress(*_FAILURES):
                await connection.close(timeout=2)


def _let_group_read(folder: Path) -> None:
    """The server's user is a member of our group."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o770 if path.is_dir() else 0o660)
