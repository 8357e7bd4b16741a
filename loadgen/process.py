"""The process: Locust as a library, its page, our routes, and the way down."""

from __future__ import annotations

import logging
import resource
import signal
import time
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.stats import stats_history

from loadgen.clients import load_clients
from loadgen.control import Control
from loadgen.fleet import Fleet
from loadgen.ledger import Ledger
from loadgen.metrics import Instruments
from loadgen.unix_http import UnixHttpClient
from loadgen.users import user_class

if TYPE_CHECKING:
    from locust.web import WebUI

    from loadgen.config import Config

#: How often the generator looks at itself.
_HEALTH_PERIOD_S = 0.05

_DESCRIPTORS = 65_536

logger = logging.getLogger("loadgen")


class Process:
    """One load generator. `run` returns the exit code."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop = Event()
        self._instruments = Instruments()
        self._client = UnixHttpClient(str(config.app_socket))
        self._users = tuple(user_class(kind) for kind in load_clients(config.clients))
        self._environment = Environment(
            user_classes=list(self._users), host=f"unix:{config.app_socket}", stop_timeout=0.0
        )
        self._environment.create_local_runner()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT (0), or until the page cannot be served (1)."""
        _allow_many_connections()
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._stop.set)
        web_ui = self._web_ui()
        background = [
            gevent.spawn(self._watch_health),
            gevent.spawn(stats_history, self._environment.runner),
        ]
        logger.info("serving", extra={"action": "serving", "port": self._config.web_port})
        gevent.wait([self._stop, web_ui.greenlet], count=1)
        stopped = self._stop.is_set()
        gevent.killall(background)
        self._shut_down(web_ui)
        return 0 if stopped else 1

    def _web_ui(self) -> WebUI:
        ledger = Ledger()
        fleet = Fleet(
            environment=self._environment,
            users=self._users,
            instruments=self._instruments,
            ledger=ledger,
            client=self._client,
            timeout_s=self._config.client_timeout_s,
            seed=self._config.seed,
        )
        control = Control(
            fleet=fleet,
            ledger=ledger,
            instruments=self._instruments,
            token=self._config.control_token,
        )
        web_ui = self._environment.create_web_ui(
            host="127.0.0.1", port=self._config.web_port, delayed_start=True
        )
        control.install(web_ui.app)
        web_ui.start()
        return web_ui

    def _watch_health(self) -> None:
        lag, cpu = self._instruments.lag, self._instruments.cpu
        while True:
            due_s = time.monotonic() + _HEALTH_PERIOD_S
            gevent.sleep(_HEALTH_PERIOD_S)
            now_s = time.monotonic()
            lag.note(at_s=now_s, lag_s=now_s - due_s)
            cpu.note(at_s=now_s, cpu_s=time.process_time())

    def _shut_down(self, web_ui: WebUI) -> None:
        logger.info("stopping", extra={"action": "stopping"})
        self._environment.runner.quit()
        self._client.close()
        web_ui.greenlet.kill()


def _allow_many_connections() -> None:
    """A connection is a descriptor; the usual soft limit of 1024 is less than one burst needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
