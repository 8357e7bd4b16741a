"""One of several load generators: its share of the users, and /metrics."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import gevent
from flask import Flask
from gevent.pywsgi import WSGIServer
from locust.env import Environment

from loadgen.app_client import client_of
from loadgen.clients import load_clients
from loadgen.control import exposition
from loadgen.fleet import Fleet
from loadgen.ledger import Ledger
from loadgen.member import Identity, Member, SpooledLedger, new_life
from loadgen.metrics import Instruments
from loadgen.spool import Spool
from loadgen.users import user_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Response
    from gevent import Greenlet

    from loadgen.config import Config

logger = logging.getLogger("loadgen")


class Worker:
    """Implements `loadgen.process.Part`."""

    def __init__(self, config: Config) -> None:
        """Raises ClientsError."""
        self._config = config
        self._instruments = Instruments()
        self._instruments.load_parts.set(0)
        self.lag, self.cpu = self._instruments.lag, self._instruments.cpu
        self._client = client_of(config)
        self._users = tuple(user_class(kind) for kind in load_clients(config.clients))
        self._environment = Environment(
            user_classes=list(self._users), host=config.app, stop_timeout=0.0
        )
        self._tasks: list[Greenlet] = []
        self._server: WSGIServer | None = None

    def start(self) -> Sequence[Greenlet]:
        """Returns at once; the master may come up later."""
        main = gevent.spawn(self._work)
        self._tasks.append(main)
        return [main]

    def stop(self) -> None:
        gevent.killall(self._tasks)
        if self._server is not None:
            self._server.stop(timeout=0.1)
        if self._environment.runner is not None:
            self._environment.events.quitting.fire(environment=self._environment)
            self._environment.runner.quit()
        self._client.close()

    def _work(self) -> None:
        """Until the master sends it away, or is not there for a minute."""
        ledger, life = Ledger(), new_life(self._config.name)
        spool = self._spool(life)
        # Not before the master is there; asks for it for five minutes, then raises.
        runner = self._environment.create_worker_runner(
            self._config.master_host, self._config.master_port
        )
        fleet = Fleet(
            environment=self._environment,
            users=self._users,
            instruments=self._instruments,
            ledger=SpooledLedger(ledger, spool),
            client=self._client,
            timeout_s=self._config.client_timeout_s,
            seed=self._config.seed,
        )
        self._serve(fleet)
        member = Member(
            runner=runner,
            identity=Identity(
                token=self._config.control_token,
                name=self._config.name,
                life=life,
                metrics=self._config.metrics_address or self._own_address(),
            ),
            fleet=fleet,
            ledger=ledger,
            spool=spool,
            instruments=self._instruments,
        )
        tasks = [gevent.spawn(member.report), gevent.spawn(member.watch)]
        self._tasks += tasks
        locust = gevent.spawn(runner.greenlet.join)
        gevent.wait([locust, *tasks], count=1)

    def _spool(self, life: str) -> Spool | None:
        if self._config.spool_dir is None:
            return None
        try:
            return Spool(self._config.spool_dir, life)
        except OSError as error:
            logger.warning(
                "no spool: %s", error, extra={"action": "spool_failed", "why": str(error)}
            )
            return None

    def _serve(self, fleet: Fleet) -> None:
        app = Flask("loadgen.worker")

        @app.route("/metrics")
        def metrics() -> Response:
            return exposition(fleet, self._instruments.registry)

        where = (self._config.web_host, self._config.web_port)
        self._server = WSGIServer(where, app, log=None, error_log=logger)
        self._server.start()

    def _own_address(self) -> str:
        """Where this host sends from to its master, with the port of our metrics."""
        family, kind, protocol, _, where = socket.getaddrinfo(
            self._config.master_host, self._config.master_port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(where)  # sends nothing
            host = probe.getsockname()[0]
        return (
            f"[{host}]:{self._config.web_port}"
            if ":" in host
            else f"{host}:{self._config.web_port}"
        )
