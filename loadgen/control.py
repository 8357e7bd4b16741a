"""The control routes and /metrics, on the Flask app of Locust's own page."""

from __future__ import annotations

import hmac
import os
import signal
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

import gevent
from flask import Blueprint, Response, abort, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from loadgen.ledger import UnknownSequenceError
from loadgen.load import LoadError, parse_load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.typing import ResponseReturnValue
    from prometheus_client import CollectorRegistry

    from loadgen.ledger import Ledger
    from loadgen.load import LoadVector, Params

#: Locust's own ways to change the load; they would fight with ours, and ask for no token.
_LOCUST_CONTROLS = ("/swarm", "/stop", "/user")
_MOST_ENTRIES = 10_000
_LAST_WORDS_S = 0.1


class UnavailableError(Exception):
    """The load cannot be offered now; the message says why."""


class Offering(Protocol):
    """Who plays the load: this process itself (`Fleet`), or its workers (`Conductor`)."""

    @property
    def load(self) -> LoadVector | None: ...
    @property
    def params_models(self) -> Mapping[str, type[Params]]: ...
    @property
    def processes(self) -> int:
        """Among how many the load is divided."""

    def apply(self, load: LoadVector, /) -> None:
        """Returns when `load` is offered. Raises UnavailableError."""

    def collect(self) -> None:
        """Bring the ledger up to date, before it is read."""

    def expire(self) -> None:
        """Bring the metrics up to date, before they are read."""

    def status(self) -> dict[str, Any]:
        """What there is to tell besides the load."""


class Control:
    """What can be asked of a running load generator from outside."""

    def __init__(
        self, *, offering: Offering, ledger: Ledger, registry: CollectorRegistry, token: str
    ) -> None:
        self._offering = offering
        self._ledger = ledger
        self._registry = registry
        self._token = token
        #: epoch seconds; known by it from the process before
        self._started_at = time.time()

    def install(self, app: Flask) -> None:
        """Add the routes; everything under /ratchet/ asks for the token."""
        ratchet = Blueprint("ratchet", __name__, url_prefix="/ratchet")
        ratchet.before_request(self._check_token)
        ratchet.add_url_rule("/load", view_func=self._put_load, methods=["PUT"])
        ratchet.add_url_rule("/status", view_func=self._get_status)
        ratchet.add_url_rule("/ledger", view_func=self._get_ledger)
        ratchet.add_url_rule("/end", view_func=_end, methods=["POST"])
        self._install_more(app, ratchet)
        app.register_blueprint(ratchet)
        app.add_url_rule("/metrics", view_func=self._get_metrics)
        app.before_request(_refuse_locust_controls)

    def _install_more(self, app: Flask, ratchet: Blueprint) -> None:
        """For subclasses: routes of their own, `ratchet` for those that need the token."""

    def status(self) -> dict[str, Any]:
        load = self._offering.load
        dimensions = load.dimensions if load else ()
        return {
            "load_id": load.id if load else None,
            "dimensions": [dimension.model_dump(mode="json") for dimension in dimensions],
            "users": sum(dimension.users for dimension in dimensions),
            "started_at": self._started_at,
            "pid": os.getpid(),
            **self._offering.status(),
        }

    def _check_token(self) -> ResponseReturnValue | None:
        expected = f"Bearer {self._token}".encode()
        given = request.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, expected):
            return None
        return jsonify(errors=["the control token is missing or wrong"]), 401

    def _put_load(self) -> ResponseReturnValue:
        document = request.get_json(force=True, silent=True)
        try:
            load = parse_load(
                document,
                params_models=self._offering.params_models,
                processes=self._offering.processes,
            )
            self._offering.apply(load)
        except LoadError as error:
            return jsonify(errors=error.problems), 400
        except UnavailableError as error:
            return jsonify(errors=[str(error)]), 503
        return jsonify(self.status())

    def _get_status(self) -> ResponseReturnValue:
        return jsonify(self.status())

    def _get_ledger(self) -> ResponseReturnValue:
        after = request.args.get("after", default=0, type=int)
        limit = request.args.get("limit", default=1_000, type=int)
        if after < 0 or not 1 <= limit <= _MOST_ENTRIES:
            problem = f"after must not be negative, limit be 1 to {_MOST_ENTRIES}"
            return jsonify(errors=[problem]), 400
        self._offering.collect()
        try:
            page = self._ledger.page(after=after, limit=limit)
        except UnknownSequenceError as error:
            return jsonify(errors=[str(error)]), 409
        return jsonify(asdict(page))

    def _get_metrics(self) -> ResponseReturnValue:
        return exposition(self._offering, self._registry)


def exposition(offering: Offering, registry: CollectorRegistry) -> Response:
    """What Prometheus gets."""
    offering.expire()
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _end() -> ResponseReturnValue:
    """As SIGTERM would, once this is answered: whoever started the process starts another."""
    gevent.spawn_later(_LAST_WORDS_S, os.kill, os.getpid(), signal.SIGTERM)
    return jsonify({})


def _refuse_locust_controls() -> None:
    if request.method == "POST" and request.path in _LOCUST_CONTROLS:
        abort(403, "the load is set by Ratchet: use PUT /ratchet/load")
