"""The load generator as one process: the users, the page and the controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
from locust.env import Environment
from locust.stats import stats_history

from loadgen.app_client import client_of
from loadgen.clients import load_clients
from loadgen.control import Control
from loadgen.fleet import Fleet
from loadgen.ledger import Ledger
from loadgen.metrics import Instruments
from loadgen.users import user_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gevent import Greenlet
    from locust.web import WebUI

    from loadgen.config import Config


class Alone:
    """Implements `loadgen.process.Part`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._instruments = Instruments()
        self.lag, self.cpu = self._instruments.lag, self._instruments.cpu
        self._client = client_of(config)
        self._users = tuple(user_class(kind) for kind in load_clients(config.clients))
        self._environment = Environment(
            user_classes=list(self._users), host=config.app, stop_timeout=0.0
        )
        self._environment.create_local_runner()
        self._web_ui: WebUI
        self._statistics: Greenlet

    def start(self) -> Sequence[Greenlet]:
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
        # Nobody else has a part in the load.
        self._instruments.load_parts.set(1)
        control = Control(
            offering=fleet,
            ledger=ledger,
            registry=self._instruments.registry,
            token=self._config.control_token,
        )
        self._web_ui = self._environment.create_web_ui(
            host=self._config.web_host, port=self._config.web_port, delayed_start=True
        )
        control.install(self._web_ui.app)
        self._web_ui.start()
        self._statistics = gevent.spawn(stats_history, self._environment.runner)
        return [self._web_ui.greenlet]

    def stop(self) -> None:
        self._statistics.kill()
        self._environment.runner.quit()
        self._client.close()
        self._web_ui.greenlet.kill()
