"""A private Postgres: a cluster of its own, reachable through one Unix socket folder only.

Two roles, two doors (`pg_hba.conf`): `chat` owns the database `chat`, is no superuser and is
trusted on the socket, since whoever reaches the socket folder is the app, its operator or us.
`ratchet` is the superuser and needs a random password, which lies in the cluster's own folder
(0700, entered by neither the app nor the operator), so that a physical copy of the cluster, such
as a template or a snapshot, always carries the password that opens it.
"""

from __future__ import annotations

import secrets
import signal
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlencode

import asyncpg

from campaign.identity import Identity
from campaign.stack.errors import MissingProgramError
from campaign.stack.folders import hand_over, private_folder
from campaign.stack.processes import ProcessSpec, run_as
from campaign.stack.service import ServiceSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from campaign.stack.programs import PostgresPrograms

APP_ROLE = "chat"
SUPERUSER = "ratchet"
#: only names the socket file (`.s.PGSQL.5432`): no TCP port is opened
PORT = 5432
_PASSWORD_FILE = "ratchet.password"  # noqa: S105 - a file's name
_HBA = f"""\
# Written by ratchet at every start.
local  {APP_ROLE}          {APP_ROLE}  trust
local  all           all   scram-sha-256
local  replication   all   scram-sha-256
"""

#: Why these differ from Postgres' own defaults.
#: fsync=off: a trial must judge the app, not the disk of the machine it happens to run on. Nothing
#: is lost when a process is killed (WAL is still written before a commit is acknowledged), only
#: when the machine itself goes down. What is measured stays as in production: wal_level replica,
#: full_page_writes and synchronous_commit are untouched, so bytes of WAL per message are real.
#: temp_file_limit: a statement that sorts without end fills no disk; no proper one comes near it.
#: jit=off: some packages come without LLVM, and the same query must cost the same everywhere.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",
    "max_connections": "100",
    "superuser_reserved_connections": "3",
    "shared_buffers": "128MB",
    "fsync": "off",
    "temp_file_limit": "2GB",
    "jit": "off",
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
    "auto_explain.log_min_duration": "250ms",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_lock_waits": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddresses:
    """How to reach the database; the superuser's ways in are kept out of logs."""

    socket_dir: Path
    #: role `chat`, database `chat`: what the app gets
    app_dsn: str
    #: role `ratchet`, database `chat`
    superuser_dsn: str = field(repr=False)
    #: role `ratchet`, database `postgres`: has pg_stat_statements too, out of the app's reach
    maintenance_dsn: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A database cluster on disk, running or not."""

    programs: PostgresPrograms
    pgdata: Path
    identity: Identity

    def at(self, pgdata: Path) -> Self:
        """The same kind of cluster in another folder."""
        return replace(self, pgdata=pgdata)

    @property
    def exists(self) -> bool:
        """False too for one whose creation was cut short: the password is the last thing made."""
        return self._password_file.exists()

    @property
    def password(self) -> str:
        """The superuser's."""
        return self._password_file.read_text().strip()

    def addresses(self, socket_dir: Path) -> PostgresAddresses:
        password = self.password
        return PostgresAddresses(
            socket_dir=socket_dir,
            app_dsn=app_dsn(socket_dir),
            superuser_dsn=_dsn(
                SUPERUSER, database=APP_ROLE, socket_dir=socket_dir, password=password
            ),
            maintenance_dsn=_dsn(
                SUPERUSER, database="postgres", socket_dir=socket_dir, password=password
            ),
        )

    def service(self, *, socket_dir: Path, log_file: Path) -> ServiceSpec:
        """The server of this cluster; crash recovery is part of becoming ready.

        Raises:
            MissingProgramError: another major version of Postgres has made the cluster.
        """
        self._require_same_version()
        self._write_hba()
        settings = {**SETTINGS, "unix_socket_directories": str(socket_dir), "port": str(PORT)}
        options = [part for pair in settings.items() for part in ("-c", "=".join(pair))]
        dsn = self.addresses(socket_dir).maintenance_dsn
        process = ProcessSpec(
            name="postgres",
            argv=(self.programs.program("postgres"), "-D", str(self.pgdata), *options),
            log_file=log_file,
            cwd=self.pgdata,
            identity=self.identity,
            env={"TZ": "UTC"},
            # INT is Postgres' fast shutdown; TERM would wait for the app to hang up.
            stop_signal=signal.SIGINT,
            stop_timeout_s=30.0,
            # QUIT is its immediate one: unlike after KILL, all backends are gone at once.
            death_signal="QUIT",
        )
        return ServiceSpec(process=process, is_ready=lambda: _accepts(dsn), ready_timeout_s=120.0)

    async def initialise(self) -> None:
        """initdb, with a password that nobody has seen."""
        private_folder(self.pgdata, self.identity)
        password_file = self.pgdata.with_name(f"{self.pgdata.name}.password")
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24) + "\n")
        hand_over(password_file, self.identity)
        try:
            await self._initdb(password_file)
            password_file.rename(self._password_file)
        finally:
            password_file.unlink(missing_ok=True)

    @property
    def _password_file(self) -> Path:
        return self.pgdata / _PASSWORD_FILE

    async def _initdb(self, password_file: Path) -> None:
        options = [
            f"--pgdata={self.pgdata}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        await run_as(self.identity, [self.programs.program("initdb"), *options], cwd=self.pgdata)

    def _require_same_version(self) -> None:
        made_by = (self.pgdata / "PG_VERSION").read_text().strip()
        if made_by != str(self.programs.major):
            raise MissingProgramError(
                f"the database in {self.pgdata} was made by PostgreSQL {made_by}, and "
                f"{self.programs.version} cannot open it",
                hint=f"put version {made_by} first on PATH",
            )

    def _write_hba(self) -> None:
        hba = self.pgdata / "pg_hba.conf"
        hba.write_text(_HBA)
        hand_over(hba, self.identity)


async def prepare_roles(addresses: PostgresAddresses) -> None:
    """Create the app's role and database, and the statistics both databases offer."""
    maintenance = await asyncpg.connect(addresses.maintenance_dsn)
    try:
        await maintenance.execute("CREATE EXTENSION pg_stat_statements")
        await maintenance.execute(f"CREATE ROLE {APP_ROLE} LOGIN")
        await maintenance.execute(f"CREATE DATABASE {APP_ROLE} OWNER {APP_ROLE}")
    finally:
        await maintenance.close()
    superuser = await asyncpg.connect(addresses.superuser_dsn)
    try:
        await superuser.execute("CREATE EXTENSION pg_stat_statements")
    finally:
        await superuser.close()


def app_dsn(socket_dir: Path) -> str:
    """What the app connects with; needs no password."""
    return _dsn(APP_ROLE, database=APP_ROLE, socket_dir=socket_dir)


async def _accepts(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (OSError, asyncpg.CannotConnectNowError, TimeoutError):
        return False
    await connection.close()
    return True


def _dsn(role: str, *, database: str, socket_dir: Path, password: str | None = None) -> str:
    user = role if password is None else f"{role}:{quote(password, safe='')}"
    # The port is spelled out because asyncpg would take a PGPORT of the user's.
    query = urlencode({"host": str(socket_dir), "port": PORT}, safe="/")
    return f"postgresql://{user}@/{database}?{query}"
