"""The load generator's master: the page and the controls; its workers have the users."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import gevent
from flask import jsonify, request
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import MasterRunner
from locust.stats import stats_history

from loadgen.clients import load_clients
from loadgen.conductor import Conductor, Settings
from loadgen.control import Control
from loadgen.ledger import Ledger
from loadgen.master_metrics import MasterInstruments
from loadgen.users import user_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Blueprint, Flask
    from flask.typing import ResponseReturnValue
    from gevent import Greenlet
    from locust.web import WebUI

    from loadgen.config import Config

logger = logging.getLogger("loadgen")


class ServeError(Exception):
    """The address for workers cannot be had; the message says which."""


class _Runner(MasterRunner):  # type: ignore[misc]
    """Locust's connection to its workers, and its page; never its own division of users."""

    def start(self, *_arguments: Any, **_named: Any) -> None:
        """Locust calls this by itself, a minute after a worker was lost."""
        logger.debug("Locust's own redistribution is not used")


class Master:
    """Implements `loadgen.process.Part`."""

    def __init__(self, config: Config) -> None:
        """Raises ClientsError and ServeError."""
        self._config = config
        self._instruments = MasterInstruments(expected=config.expect_workers)
        self.lag, self.cpu = self._instruments.lag, self._instruments.cpu
        behaviours = load_clients(config.clients)
        self._params_models = {kind.name: kind.params_model for kind in behaviours}
        self._environment = Environment(
            user_classes=[user_class(kind) for kind in behaviours],
            host=config.app if config.app_socket or config.app_address else None,
            stop_timeout=0.0,
        )
        where = (config.master_host, config.master_port)
        try:
            runner = _Runner(self._environment, *where)
        except (RPCError, SystemExit) as error:  # Locust leaves by itself when a port is taken
            raise ServeError(f"{where[0]}:{where[1]}: Address already in use") from error
        self._environment.runner = runner
        self._web_ui: WebUI
        self._background: list[Greenlet] = []

    def start(self) -> Sequence[Greenlet]:
        config, ledger = self._config, Ledger()
        conductor = Conductor(
            runner=self._environment.runner,
            params_models=self._params_models,
            ledger=ledger,
            instruments=self._instruments,
            settings=Settings(
                token=config.control_token,
                seed=config.seed,
                timeout_s=config.client_timeout_s,
                expected=config.expect_workers,
                spool_dir=config.spool_dir,
            ),
        )
        control = MasterControl(conductor, ledger, self._instruments, token=config.control_token)
        self._web_ui = self._environment.create_web_ui(
            host=config.web_host, port=config.web_port, delayed_start=True
        )
        control.install(self._web_ui.app)
        self._web_ui.start()
        watch = gevent.spawn(conductor.watch)
        self._background = [watch, gevent.spawn(stats_history, self._environment.runner)]
        return [self._web_ui.greenlet, watch]

    def stop(self) -> None:
        gevent.killall(self._background)
        self._environment.runner.quit()
        self._web_ui.greenlet.kill()


class MasterControl(Control):
    """What can be asked of a master besides."""

    def __init__(
        self,
        conductor: Conductor,
        ledger: Ledger,
        instruments: MasterInstruments,
        *,
        token: str,
    ) -> None:
        super().__init__(
            offering=conductor, ledger=ledger, registry=instruments.registry, token=token
        )
        self._conductor = conductor

    def _install_more(self, app: Flask, ratchet: Blueprint) -> None:
        ratchet.add_url_rule("/changes", view_func=self._get_changes)
        app.add_url_rule("/ready", view_func=self._get_ready)
        app.add_url_rule("/targets", view_func=self._get_targets)

    def _get_changes(self) -> ResponseReturnValue:
        """Workers that were lost or joined; `after` is the number of the last that is known."""
        after = request.args.get("after", default=0, type=int)
        return jsonify(master=self._conductor.id, changes=self._conductor.changes(after=after))

    def _get_ready(self) -> ResponseReturnValue:
        """For health checks: all the workers that are expected have come."""
        ready = self._conductor.is_ready
        return jsonify(ready=ready), 200 if ready else 503

    def _get_targets(self) -> ResponseReturnValue:
        """For Prometheus's `http_sd_configs`: where the workers' metrics are."""
        return jsonify([{"targets": self._conductor.targets(), "labels": {}}])
