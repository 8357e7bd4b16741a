"""Where the HTTP API listens: on the loopback, or in a container on its own networks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from campaign.stack import ComposePlaces, is_compose, own_address

#: of the daemon, wherever it runs
DAEMON_PORT = 8390

_LOOPBACK = "127.0.0.1"
#: docker-compose.yml says there where it publishes the daemon's port
_PUBLISHED = "RATCHET_PAGE_PORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """An address to listen on, and what those who may ask call us."""

    address: str = _LOOPBACK
    #: for other processes of ours
    name: str = _LOOPBACK

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.name})


def listening() -> Listening:
    """As the stack wants it; a port that is published on the host's loopback has that name too."""
    if not is_compose():
        return Listening()
    host = urlsplit(ComposePlaces().prometheus_url).hostname or ""
    try:
        name = own_address(host)
    except OSError:  # no such container yet: only that other containers find us is lost
        name = _LOOPBACK
    return Listening(address="0.0.0.0", name=name)  # noqa: S104 - only what is published is reached


@dataclass(frozen=True, slots=True, kw_only=True)
class WayIn:
    """How those on the machine that runs the containers get to a process of ours."""

    #: empty: its port is not published
    url: str
    #: the command that runs one of ours beside it, for whoever needs no secret then
    inside: str = "docker compose exec --no-TTY campaign ratchet"
    #: the same for a person's terminal
    inside_with_terminal: str = "docker compose exec campaign ratchet"


def way_in(url: str) -> WayIn | None:
    """To a process of the compose project that calls itself `url`; None: `url` is the way."""
    port = os.environ.get(_PUBLISHED)
    if not port or not is_compose():
        return None
    # The daemon's port alone: a command in a container of its own takes any that is free.
    is_published = urlsplit(url).port == DAEMON_PORT
    return WayIn(url=f"http://{_LOOPBACK}:{port}" if is_published else "")
