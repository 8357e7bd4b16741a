"""What the service reads from its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that differs between one place the service runs and another."""

    #: libpq-style URL; a Unix socket folder goes into `host`.
    database_url: str
    #: Inherited descriptor of a listening Unix socket; wins over `port`.
    listen_fd: int | None = None
    #: TCP port on 127.0.0.1, for a developer's desk.
    port: int = 8080
    #: Time between two tokens of a streamed reply, seconds.
    token_delay_s: float = 0.020
    #: Requests slower than this get a line in the log, seconds.
    slow_request_s: float = 1.0
    #: How long requests in flight may take to finish after SIGTERM, seconds.
    drain_s: float = 10.0

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Reads DATABASE_URL, LISTEN_FD, PORT, TOKEN_DELAY_MS, SLOW_REQUEST_MS and DRAIN_S.

        Raises:
            KeyError: DATABASE_URL is missing.
            ValueError: a number is not one.
        """
        fd = env.get("LISTEN_FD")
        return cls(
            database_url=env["DATABASE_URL"],
            listen_fd=int(fd) if fd else None,
            port=int(env.get("PORT", "8080")),
            token_delay_s=float(env.get("TOKEN_DELAY_MS", "20")) / 1000,
            slow_request_s=float(env.get("SLOW_REQUEST_MS", "1000")) / 1000,
            drain_s=float(env.get("DRAIN_S", "10")),
        )
