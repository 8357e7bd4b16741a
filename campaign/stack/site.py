"""Where one start of the local stack takes place: its folders, ports, programs and users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign.identity import (
    DATABASE_USER,
    PROMETHEUS_USER,
    Identity,
    identity_for,
    own_identity,
)
from campaign.stack.folders import private_folder
from campaign.stack.network import ChosenPorts, Ports, choose_ports
from campaign.stack.places import (
    data_place,
    make_socket_folder,
    passable_folder,
    require_free_space,
)
from campaign.stack.postgres import Cluster
from campaign.stack.programs import find_postgres, find_prometheus
from campaign.stack.record import StackRecordFile, cleanup_leftovers

if TYPE_CHECKING:
    from pathlib import Path

    from campaign.stack.interface import ComponentName
    from campaign.stack.programs import PostgresPrograms, PrometheusPrograms


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Settled before anything is started; a restart of a component finds the same."""

    record: StackRecordFile
    data_dir: Path
    socket_dir: Path
    logs_dir: Path
    ports: ChosenPorts
    postgres: PostgresPrograms
    prometheus: PrometheusPrograms
    postgres_user: Identity
    prometheus_user: Identity

    @property
    def cluster(self) -> Cluster:
        return Cluster(
            programs=self.postgres, pgdata=self.data_dir / "pgdata", identity=self.postgres_user
        )

    @property
    def database_sockets(self) -> Path:
        return self.socket_dir / "pg"

    @property
    def app_socket(self) -> Path:
        return self.socket_dir / "app" / "app.sock"

    @property
    def supervisor_socket(self) -> Path:
        return self.socket_dir / "supervisor.sock"

    def log(self, name: ComponentName) -> Path:
        return self.logs_dir / f"{name}.log"


def settle(run_dir: Path, ports: Ports) -> Site:
    """Clear up what an earlier start of `run_dir` left, then choose everything a start needs.

    Raises:
        IdentityError: as root, a component's user does not exist.
        StackError: in any of its kinds; nothing was started yet.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    cleanup_leftovers(run_dir)
    record = StackRecordFile(run_dir)
    postgres_user = identity_for(DATABASE_USER)
    prometheus_user = identity_for(PROMETHEUS_USER)
    data_dir = record.record.data_dir or data_place(run_dir, (postgres_user, prometheus_user))
    require_free_space(data_dir)
    site = Site(
        record=record,
        ports=choose_ports(ports),
        postgres=find_postgres(),
        prometheus=find_prometheus(),
        data_dir=passable_folder(data_dir),
        socket_dir=make_socket_folder(),
        logs_dir=run_dir / "logs",
        postgres_user=postgres_user,
        prometheus_user=prometheus_user,
    )
    record.open(socket_dir=site.socket_dir, data_dir=data_dir)
    # The app and Locust pass through both to reach the sockets in them.
    private_folder(site.database_sockets, postgres_user, mode=0o711)
    private_folder(site.app_socket.parent, own_identity(), mode=0o711)
    return site
