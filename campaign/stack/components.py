"""The two components that are our own Python: the supervisor of the app, and the load generator."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from campaign.identity import LOADGEN_USER, Identity, can_enter, identity_for, own_identity
from campaign.stack.folders import hand_over, private_folder
from campaign.stack.load_division import OTHERS_PATIENCE_S, LoadDivision
from campaign.stack.network import LOOPBACK
from campaign.stack.places import cache_place, passable_folder
from campaign.stack.postgres import APP_ROLE, app_dsn
from campaign.stack.probes import answers
from campaign.stack.processes import ProcessSpec
from campaign.stack.service import ServiceSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

#: what `campaign` and `loadgen` are imported from: children run the very code that we run
_CODE = Path(__file__).parents[2]
_PYTHON: Mapping[str, str] = {"PYTHONPATH": str(_CODE)}
#: the sandbox shows the folder of Postgres' socket there
_DSN_IN_SANDBOX = f"postgresql://{APP_ROLE}@/{APP_ROLE}?host=/run/postgresql"

#: of the names of workers
WORKER_PREFIX = "loadgen-worker-"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadgenSettings:
    """What the load generator is told once; the load itself comes later, over its routes."""

    #: what the target's users do: a module such as "loadgen.chat_db_app", or the path of a file
    clients: str
    client_timeout_s: float = 5.0
    seed: int = 1
    division: LoadDivision = field(default_factory=LoadDivision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loadgen:
    """Locust, with our control routes on its own web port; alone, or as a master and workers."""

    settings: LoadgenSettings
    folder: Path
    app_socket: Path
    port: int
    token: str = field(repr=False)
    #: where workers reach the master, and the port of each one's metrics
    master_port: int | None = None
    worker_ports: tuple[int, ...] = ()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def service(self, *, log_file: Path) -> ServiceSpec:
        """The one process, or the master."""
        identity = unprivileged_python_identity()
        private_folder(self.folder, identity)
        told = self._told(identity) | {"web_port": self.port}
        division = self.settings.division
        ready_timeout_s = 30.0
        if division.is_divided:
            private_folder(self._fresh_spool, identity)
            told |= {
                "role": "master",
                "master_host": division.host,
                "master_port": self.master_port,
                "expect_workers": division.expected,
                "spool_dir": str(self._spool),
            }
        if division.others:
            ready_timeout_s = OTHERS_PATIENCE_S
        process = self._process("loadgen", told, log_file=log_file, identity=identity)
        return ServiceSpec(process=process, is_ready=self._answers, ready_timeout_s=ready_timeout_s)

    def workers(self, *, logs_dir: Path) -> tuple[ServiceSpec, ...]:
        """Those of this machine; call it after `service`, which makes their folder."""
        identity = unprivileged_python_identity()
        return tuple(
            self._worker(f"{WORKER_PREFIX}{number}", port, logs_dir=logs_dir, identity=identity)
            for number, port in enumerate(self.worker_ports, start=1)
        )

    def _worker(self, name: str, port: int, *, logs_dir: Path, identity: Identity) -> ServiceSpec:
        told = self._told(identity) | {
            "role": "worker",
            "name": name,
            "web_port": port,
            "master_host": _dialled(self.settings.division.host),
            "master_port": self.master_port,
            "metrics_address": f"{LOOPBACK}:{port}",
            "spool_dir": str(self._spool),
        }
        log_file = logs_dir / f"{name}.log"
        process = self._process(name, told, log_file=log_file, identity=identity)

        async def is_ready() -> bool:
            return await answers(f"http://{LOOPBACK}:{port}/metrics")

        return ServiceSpec(process=process, is_ready=is_ready, ready_timeout_s=30.0)

    def _told(self, identity: Identity) -> dict[str, object]:
        """What every process of the load generator is told."""
        return {
            "clients": self._clients(identity),
            "app_socket": str(self.app_socket),
            "control_token": self.token,
            "client_timeout_s": self.settings.client_timeout_s,
            "seed": self.settings.seed,
        }

    def _process(
        self, name: str, told: Mapping[str, object], *, log_file: Path, identity: Identity
    ) -> ProcessSpec:
        config = _write_config(self.folder / f"{name}.json", told, identity)
        return ProcessSpec(
            name=name,
            argv=(sys.executable, "-m", "loadgen", "--config", str(config)),
            log_file=log_file,
            cwd=self.folder,
            identity=identity,
            env=_PYTHON,
        )

    @property
    def _spool(self) -> Path:
        return self.folder / "spool"

    @property
    def _fresh_spool(self) -> Path:
        """What an earlier start left in it belongs to nobody any more."""
        shutil.rmtree(self._spool, ignore_errors=True)
        return self._spool

    def _clients(self, identity: Identity) -> str:
        """A file is copied: the generator's user may have no way to the original."""
        if not self.settings.clients.endswith(".py"):
            return self.settings.clients
        copy = shutil.copyfile(self.settings.clients, self.folder / "clients.py")
        return str(hand_over(copy, identity))

    async def _answers(self) -> bool:
        if self.settings.division.is_divided:
            return await answers(f"{self.url}/ready")
        return await answers(f"{self.url}/ratchet/status", token=self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """How the target app is run."""

    #: how the app is started, in its folder
    command: tuple[str, ...] = ("python", "main.py")
    #: the wheels that an app's requirements are installed from (`make setup` fills it)
    wheels_dir: Path
    #: Python environments, one per set of requirements; must be readable by the app's user
    environments_dir: Path = field(default_factory=lambda: cache_place() / "environments")
    #: False runs the app as a plain child: only where the user insisted
    sandbox: bool = True
    #: for the app, besides its DATABASE_URL, such as TOKEN_DELAY_MS
    app_environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """The process that owns the app's sockets and runs it."""

    settings: SupervisorSettings
    folder: Path
    app_socket: Path
    control_socket: Path
    database_sockets: Path
    relay_port: int
    app_log: Path
    #: its record of deployments, which outlives it
    state_dir: Path

    def service(self, *, log_file: Path) -> ServiceSpec:
        """Ready means that it takes deployments; no app runs before the first one."""
        identity = own_identity()
        private_folder(self.folder, identity)
        passable_folder(self.settings.environments_dir)
        config = _write_config(self.folder / "supervisor.json", self._config(), identity)
        process = ProcessSpec(
            name="supervisor",
            argv=(sys.executable, "-m", "campaign.supervisor", "--config", str(config)),
            log_file=log_file,
            cwd=self.folder,
            identity=identity,
            env=_PYTHON,
            # Long enough to drain the app.
            stop_timeout_s=20.0,
            may_gain_privileges=True,
        )
        return ServiceSpec(process=process, is_ready=self._answers, ready_timeout_s=30.0)

    def _config(self) -> Mapping[str, object]:
        """As `campaign.supervisor.config` reads it."""
        sandboxed = self.settings.sandbox
        dsn = _DSN_IN_SANDBOX if sandboxed else app_dsn(self.database_sockets)
        return {
            "command": list(self.settings.command),
            "app_dir": str(self.app_socket.parent),
            "control_socket": str(self.control_socket),
            "state_dir": str(self.state_dir),
            "log_file": str(self.app_log),
            "environments_dir": str(self.settings.environments_dir),
            "wheel_cache": str(self.settings.wheels_dir.absolute()),
            "environment": {"DATABASE_URL": dsn, **self.settings.app_environment},
            "database_dir": str(self.database_sockets),
            "sandbox": "bubblewrap" if sandboxed else "none",
            "relay_port": self.relay_port,
            "relay_host": LOOPBACK,
        }

    async def _answers(self) -> bool:
        return await answers("http://supervisor/status", unix_socket=self.control_socket)


def unprivileged_python_identity() -> Identity:
    """The load generator's user, where it can run the Python that we run; else ourselves.

    An interpreter below root's home cannot be executed by any other user.
    """
    wished = identity_for(LOADGEN_USER)
    needed = (Path(sys.executable).resolve().parent, Path(sys.prefix), _CODE)
    return wished if all(can_enter(wished, folder) for folder in needed) else own_identity()


def _dialled(host: str) -> str:
    """Where a child reaches what listens at `host`."""
    return LOOPBACK if host in {"0.0.0.0", "::", "*"} else host  # noqa: S104 - compared with


def _write_config(path: Path, content: Mapping[str, object], identity: Identity) -> Path:
    """As JSON, and as a secret: it may hold a token."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(content) + "\n")
    return hand_over(path, identity)
