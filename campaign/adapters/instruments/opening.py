"""All instruments of a campaign, from plain addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from operators.toolbox.instruments import Instruments, Records, Shells

from campaign.adapters.instruments.app import AppOverSocket
from campaign.adapters.instruments.database import AppDatabase
from campaign.adapters.instruments.logs import LogFiles
from campaign.adapters.instruments.metrics import SeenMetrics
from campaign.adapters.instruments.shell import WorkspaceShells
from campaign.adapters.instruments.surroundings import Surroundings
from campaign.adapters.instruments.watch import Allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where everything is that operators may look at."""

    workspace: Path
    #: False only where the user insisted
    confined: bool
    app_socket: Path
    #: the app's own role, by way of a Unix socket
    app_dsn: str
    #: its name, which Postgres' log has
    app_role: str
    #: the folder of that socket
    database_dir: Path
    prometheus_url: str
    #: app.log and postgres.log
    logs_dir: Path
    #: a Python environment for the workspace's own tests, and its library where not below /usr
    python_environment: Path | None = None
    interpreter_prefix: Path | None = None
    #: whether the shell reaches the database's socket too, at /run/postgresql
    database_in_shell: bool = True
    #: for the shell, besides DATABASE_URL
    environment: Mapping[str, str] = field(default_factory=dict)
    allowance: Allowance = field(default_factory=Allowance)
    #: those of another container; None: ours, in sandboxes
    shells: Shells | None = None


@asynccontextmanager
async def open_instruments(places: Places, *, records: Records) -> AsyncIterator[Instruments]:
    """They hold nothing open between calls; shells end with their own sessions."""
    yield Instruments(
        shells=places.shells or WorkspaceShells(_surroundings(places), allowance=places.allowance),
        app=AppOverSocket(places.app_socket),
        database=AppDatabase(places.app_dsn),
        metrics=SeenMetrics(places.prometheus_url),
        logs=LogFiles(
            app_log=places.logs_dir / "app.log",
            database_log=places.logs_dir / "postgres.log",
            role=places.app_role,
        ),
        records=records,
    )


def _surroundings(places: Places) -> Surroundings:
    inside = f"postgresql://{places.app_role}@/{places.app_role}?host=/run/postgresql"
    url = inside if places.confined else places.app_dsn
    return Surroundings(
        workspace=places.workspace,
        confined=places.confined,
        python_environment=places.python_environment,
        interpreter_prefix=places.interpreter_prefix,
        database_dir=places.database_dir if places.database_in_shell else None,
        environment={
            **({"DATABASE_URL": url} if places.database_in_shell else {}),
            **places.environment,
        },
    )
