"""Free ports of the loopback, and whether a port that was asked for can be had."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from dataclasses import dataclass

from campaign.stack.errors import PortInUseError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports on 127.0.0.1; None is for "any that is free"."""

    prometheus: int | None = None
    #: Locust's own page, its metrics and the control routes
    loadgen: int | None = None
    #: the relay of the supervisor to the app's Unix socket
    app: int | None = None
    #: how many workers the load is divided among here; with any, or others, there is a master
    load_workers: int = 0
    has_load_master: bool = False
    #: where workers reach it
    load_master: int | None = None

    @property
    def any_free(self) -> bool:
        """Whether a lost race for a port may be run again with others."""
        chosen_here = self.load_workers > 0 or (self.has_load_master and self.load_master is None)
        return chosen_here or None in (self.prometheus, self.loadgen, self.app)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPorts:
    """`Ports` with every one settled."""

    prometheus: int
    loadgen: int
    app: int
    load_workers: tuple[int, ...] = ()
    load_master: int | None = None


def choose_ports(wanted: Ports) -> ChosenPorts:
    """Fill in free ports, all different; another process may still take one before we do.

    Raises:
        PortInUseError: a port asked for by number is taken.
    """
    with ExitStack() as held:
        return ChosenPorts(
            prometheus=_hold(held, "Prometheus", wanted.prometheus),
            loadgen=_hold(held, "Locust", wanted.loadgen),
            app=_hold(held, "the app", wanted.app),
            load_workers=tuple(
                _hold(held, "a worker of the load", None) for _ in range(wanted.load_workers)
            ),
            load_master=(
                _hold(held, "workers of the load", wanted.load_master)
                if wanted.has_load_master
                else None
            ),
        )


def is_port_clash(log_tail: tuple[str, ...]) -> bool:
    """Whether a program's last words say that its port was taken."""
    return any("address already in use" in line.lower() for line in log_tail)


def _hold(held: ExitStack, who: str, port: int | None) -> int:
    listener = held.enter_context(closing(socket.socket()))
    # As the servers themselves do: a port in TIME_WAIT is free.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port or 0))
        listener.listen()
    except OSError as exc:
        raise PortInUseError(
            f"port {port} for {who} cannot be used: {exc.strerror}",
            hint="choose another, or none to get a free one",
        ) from exc
    return int(listener.getsockname()[1])
