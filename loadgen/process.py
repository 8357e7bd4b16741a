"""The process: Locust as a library, in one of its three roles, and the way down."""

from __future__ import annotations

import logging
import resource
import signal
import time
from typing import TYPE_CHECKING, Protocol

import gevent
from gevent.event import Event

from loadgen.alone import Alone
from loadgen.master import Master, ServeError
from loadgen.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gevent import Greenlet

    from loadgen.config import Config
    from loadgen.health import CpuShare, WorstLag

__all__ = ["Process", "ServeError"]

#: How often the generator looks at itself.
_HEALTH_PERIOD_S = 0.05

_DESCRIPTORS = 65_536

logger = logging.getLogger("loadgen")


class Part(Protocol):
    """What the process is there for."""

    @property
    def lag(self) -> WorstLag: ...
    @property
    def cpu(self) -> CpuShare: ...

    def start(self) -> Sequence[Greenlet]:
        """What runs as long as the process is of use; that one of them ends is a failure."""

    def stop(self) -> None: ...


class Process:
    """One load generator. `run` returns the exit code."""

    def __init__(self, config: Config) -> None:
        """Raises ClientsError, and ServeError when a master cannot listen for workers."""
        self._config = config
        self._stop = Event()
        self._part = _part(config)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT (0), or until it cannot any more (1)."""
        _allow_many_connections()
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._stop.set)
        health = gevent.spawn(self._watch_health)
        needed = self._part.start()
        logger.info("serving", extra={"action": "serving", "port": self._config.web_port})
        gevent.wait([self._stop, *needed], count=1)
        stopped = self._stop.is_set()
        health.kill()
        logger.info("stopping", extra={"action": "stopping"})
        self._part.stop()
        return 0 if stopped else 1

    def _watch_health(self) -> None:
        lag, cpu = self._part.lag, self._part.cpu
        while True:
            due_s = time.monotonic() + _HEALTH_PERIOD_S
            gevent.sleep(_HEALTH_PERIOD_S)
            now_s = time.monotonic()
            lag.note(at_s=now_s, lag_s=now_s - due_s)
            cpu.note(at_s=now_s, cpu_s=time.process_time())


def _part(config: Config) -> Part:
    match config.role:
        case "alone":
            return Alone(config)
        case "master":
            return Master(config)
        case "worker":
            return Worker(config)


def _allow_many_connections() -> None:
    """A connection is a descriptor; the usual soft limit of 1024 is less than one burst needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
