"""Where the parts of the compose stack meet: folders on volumes, names on the inner network."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from campaign.stack.errors import StackError

#: `local` (the default) or `compose`: how the processes of a campaign come about
STACK_VARIABLE = "RATCHET_STACK"
COMPOSE = "compose"

#: the group whose members are ours: the campaign, and what must read or write what it does
GROUP_ID = 10001
POSTGRES_ID = 999
LOADGEN_ID = 10002
PROMETHEUS_ID = 65534
#: the group of the operator's shells; the campaign is in it, the shells are in no other
ONCALL_ID = 10020

#: whom the app's processes run as, each as another one
APP_USERS = ("app-1", "app-2", "app-3", "app-4")
#: the interpreter that the wheels in the images are for
APP_PYTHON = "/usr/local/bin/python3"

LOADGEN_PORT = 8089


def is_compose() -> bool:
    """Whether this process is one of the containers.

    Raises:
        StackError: there is no such stack.
    """
    chosen = os.environ.get(STACK_VARIABLE, "local")
    if chosen not in {"local", COMPOSE}:
        raise StackError(f"{STACK_VARIABLE}={chosen}: there are local and {COMPOSE}")
    return chosen == COMPOSE


def _load_workers() -> int:
    return int(os.environ.get("RATCHET_LOAD_WORKERS") or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposePlaces:
    """As every container sees them; `docker-compose.yml` mounts the volumes there."""

    #: /, but for tests
    root: Path = Path("/")
    prometheus_url: str = "http://prometheus:9090"
    loadgen_url: str = f"http://loadgen-master:{LOADGEN_PORT}"
    #: so many workers does its master wait for
    load_workers: int = field(default_factory=_load_workers)
    #: the relay to the app
    app_url: str = "http://edge:8000"
    #: what it says of itself
    edge_url: str = "http://edge:8001"
    grafana_url: str = "http://grafana:3000"

    @property
    def database_sockets(self) -> Path:
        return self.root / "run/postgresql"

    @property
    def database_password(self) -> Path:
        """The superuser's; neither the app's container nor an operator has this folder."""
        return self.root / "run/ratchet/database/password"

    @property
    def database_log(self) -> Path:
        return self.root / "var/log/postgresql/postgres.log"

    @property
    def exchange(self) -> Path:
        """Copies of the database on their way, and what its server is to do when it starts."""
        return self.root / "exchange"

    @property
    def app_socket(self) -> Path:
        return self.root / "run/ratchet/app/app.sock"

    @property
    def control(self) -> Path:
        """The supervisor's socket and configuration; the app cannot enter."""
        return self.root / "run/ratchet/control"

    @property
    def supervisor_socket(self) -> Path:
        return self.control / "supervisor.sock"

    @property
    def supervisor_config(self) -> Path:
        return self.control / "supervisor.json"

    @property
    def app_state(self) -> Path:
        """The supervisor's, for us to read."""
        return self.root / "var/lib/ratchet/app"

    @property
    def app_runs(self) -> Path:
        """A folder for each campaign: the supervisor's records, the app's log."""
        return self.app_state / "runs"

    @property
    def environments(self) -> Path:
        return self.app_state / "environments"

    @property
    def releases(self) -> Path:
        """What was deployed, for the app's container to read: a folder for each campaign."""
        return self.root / "var/lib/ratchet/releases"

    @property
    def work_place(self) -> Path:
        """The folder of the work tree; what else is in it is the campaign's."""
        return self.root / "srv"

    @property
    def work_tree(self) -> Path:
        """The files that the operator edits: its shells' own."""
        return self.work_place / "app"

    @property
    def shell_socket(self) -> Path:
        """Of the service that runs the operator's shells; these cannot enter."""
        return self.root / "run/ratchet/shell/shell.sock"

    @property
    def tool_environments(self) -> Path:
        """Python environments for the operator's shells: the campaign makes them."""
        return self.root / "var/lib/ratchet/environments"

    @property
    def runs(self) -> Path:
        return self.root / "var/lib/ratchet/runs"

    @property
    def stack_lock(self) -> Path:
        """Held by whoever plays a campaign."""
        return self.runs / "stack.lock"

    @property
    def cache(self) -> Path:
        return self.root / "var/cache/ratchet"

    @property
    def loadgen_config(self) -> Path:
        return self.root / "run/ratchet/loadgen/loadgen.json"

    @property
    def loadgen_spool(self) -> Path:
        """What workers were acknowledged, until their master has it."""
        return self.root / "run/ratchet/spool"

    @property
    def loadgen_token(self) -> Path:
        return self.root / "run/ratchet/secrets/loadgen.token"

    @property
    def daemon_token(self) -> Path:
        return self.root / "run/ratchet/secrets/daemon.token"

    @property
    def api_key(self) -> Path:
        """Of the operator's provider; empty when none was given."""
        return self.root / "run/ratchet/secrets/anthropic_api_key"

    @property
    def webhook_secret(self) -> Path:
        """What notices are signed with; empty when nothing was given."""
        return self.root / "run/ratchet/secrets/webhook_secret"

    @property
    def given_key(self) -> Path | None:
        """The same, if one was given."""
        try:
            return self.api_key if self.api_key.read_text().strip() else None
        except OSError:
            return None

    @property
    def generated(self) -> Path:
        """Rules and targets for Prometheus."""
        return self.root / "run/ratchet/prometheus"
