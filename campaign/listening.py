"""Where the HTTP API listens: on the loopback, or in a container on its own networks."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from campaign.stack import ComposePlaces, is_compose, own_address

_LOOPBACK = "127.0.0.1"


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
