"""What a load generator process is told at its start."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loadgen.load import MAX_WORKERS

#: Locust's own port for workers
DEFAULT_MASTER_PORT = 5557

Role = Literal["alone", "master", "worker"]
Port = Annotated[int, Field(ge=1, le=65_535)]
#: `host:port`, of an IPv6 address `[::1]:80`
Address = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s/:]+):\d{1,5}$")]


class Config(BaseModel):
    """The JSON file given with --config; options of the command line go before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: what the users do: a module's name, or a file's path (see `loadgen.clients`)
    clients: str = Field(min_length=1)
    #: the app's public address: a Unix socket, or a host and port; a master needs none
    app_socket: Path | None = None
    app_address: Address | None = None
    #: for Locust's page, /metrics and the control routes
    web_host: str = "127.0.0.1"
    web_port: Port
    control_token: str = Field(min_length=1)
    #: how long a client waits for an answer, and a due request for its turn, seconds
    client_timeout_s: float = Field(default=5.0, gt=0, le=300)
    seed: int = 1
    #: JSON lines; standard error has them too, for people
    log_file: Path | None = None
    role: Role = "alone"
    #: of a master, where it listens for workers; of a worker, where its master is
    master_host: str = "127.0.0.1"
    master_port: Port = DEFAULT_MASTER_PORT
    #: a master is not ready before so many workers are there
    expect_workers: int = Field(default=1, ge=1, le=MAX_WORKERS)
    #: of a worker; one that is started again under its name takes its own place again
    name: str = Field(default_factory=lambda: _plain(socket.gethostname()))
    #: where Prometheus reaches this worker; else the address it reaches its master from
    metrics_address: Address | None = None
    #: where workers leave what the app acknowledged to them, for a master on the same host
    spool_dir: Path | None = None

    @model_validator(mode="after")
    def _one_way_to_the_app(self) -> Self:
        ways = [way for way in (self.app_socket, self.app_address) if way is not None]
        if len(ways) > 1:
            raise ValueError("app_socket and app_address: the app is reached one way or the other")
        if not ways and self.role != "master":
            raise ValueError("neither app_socket nor app_address: where is the app?")
        return self

    @property
    def app(self) -> str:
        """Where the app is, for people."""
        return f"unix:{self.app_socket}" if self.app_socket else f"http://{self.app_address}"


def _plain(hostname: str) -> str:
    """As `loadgen.messages.Name` wants it."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", hostname).strip("-.")[:64] or "worker"
