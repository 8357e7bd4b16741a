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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadgenSettings:
    """What the load generator is told once; the load itself comes later, over its routes."""

    #: what the target's users do: a module such as "loadgen.chat_db_app", or the path of a file
    clients: str
    client_timeout_s: float = 5.0
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Loadgen:
    """Locust, with our control routes on its own web port."""

    settings: LoadgenSettings
    folder: Path
    app_socket: Path
    port: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def service(self, *, log_file: Path) -> ServiceSpec:
        identity = unprivileged_python_identity()
        private_folder(self.folder, identity)
        config = _write_config(
            self.folder / "loadgen.json",
            {
                "clients": self._clients(identity),
                "app_socket": str(self.app_socket),
                "web_port": self.port,
                "control_token": self.token,
                "client_timeout_s": self.settings.client_timeout_s,
                "seed": self.settings.seed,
            },
            identity,
        )
        process = ProcessSpec(
            name="loadgen",
            argv=(sys.executable, "-m", "loadgen", "--config", str(config)),
            log_file=log_file,
            cwd=self.folder,
            identity=identity,
            env=_PYTHON,
        )
        return ServiceSpec(process=process, is_ready=self._answers, ready_timeout_s=30.0)

    def _clients(self, identity: Identity) -> str:
        """A file is copied: the generator's user may have no way to the original."""
        if not self.settings.clients.endswith(".py"):
            return self.settings.clients
        copy = shutil.copyfile(self.settings.clients, self.folder / "clients.py")
        return str(hand_over(copy, identity))

    async def _answers(self) -> bool:
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


def _write_config(path: Path, content: Mapping[str, object], identity: Identity) -> Path:
    """As JSON, and as a secret: it may hold a token."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(content) + "\n")
    return hand_over(path, identity)
