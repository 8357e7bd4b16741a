"""What a load generator process is told at its start."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """The JSON file given with --config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: what the users do: a module's name, or a file's path (see `loadgen.clients`)
    clients: str = Field(min_length=1)
    #: the app's public address
    app_socket: Path
    #: for Locust's page, /metrics and the control routes, on 127.0.0.1
    web_port: int = Field(ge=1, le=65_535)
    control_token: str = Field(min_length=1)
    #: how long a client waits for an answer, and a due request for its turn, seconds
    client_timeout_s: float = Field(default=5.0, gt=0, le=300)
    seed: int = 1
    #: JSON lines; standard error has them too, for people
    log_file: Path | None = None
