"""The control routes and /metrics, on the Flask app of Locust's own page."""

from __future__ import annotations

import hmac
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from loadgen.ledger import UnknownSequenceError
from loadgen.load import LoadError, parse_load

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue

    from loadgen.fleet import Fleet
    from loadgen.ledger import Ledger
    from loadgen.metrics import Instruments

#: Locust's own ways to change the load; they would fight with ours, and ask for no token.
_LOCUST_CONTROLS = ("/swarm", "/stop", "/user")
_MOST_ENTRIES = 10_000


class Control:
    """What can be asked of a running load generator from outside."""

    def __init__(
        self, *, fleet: Fleet, ledger: Ledger, instruments: Instruments, token: str
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._instruments = instruments
        self._token = token
        self._started_s = time.monotonic()

    def install(self, app: Flask) -> None:
        """Add the routes; everything under /ratchet/ asks for the token."""
        ratchet = Blueprint("ratchet", __name__, url_prefix="/ratchet")
        ratchet.before_request(self._check_token)
        ratchet.add_url_rule("/load", view_func=self._put_load, methods=["PUT"])
        ratchet.add_url_rule("/status", view_func=self._get_status)
        ratchet.add_url_rule("/ledger", view_func=self._get_ledger)
        app.register_blueprint(ratchet)
        app.add_url_rule("/metrics", view_func=self._get_metrics)
        app.before_request(_refuse_locust_controls)

    def status(self) -> dict[str, Any]:
        load = self._fleet.load
        dimensions = load.dimensions if load else ()
        return {
            "load_id": load.id if load else None,
            "dimensions": [dimension.model_dump(mode="json") for dimension in dimensions],
            "users": sum(dimension.users for dimension in dimensions),
            "uptime_s": time.monotonic() - self._started_s,
            "pid": os.getpid(),
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
            load = parse_load(document, params_models=self._fleet.params_models)
        except LoadError as error:
            return jsonify(errors=error.problems), 400
        self._fleet.apply(load)
        return jsonify(self.status())

    def _get_status(self) -> ResponseReturnValue:
        return jsonify(self.status())

    def _get_ledger(self) -> ResponseReturnValue:
        after = request.args.get("after", default=0, type=int)
        limit = request.args.get("limit", default=1_000, type=int)
        if after < 0 or not 1 <= limit <= _MOST_ENTRIES:
            problem = f"after must not be negative, limit be 1 to {_MOST_ENTRIES}"
            return jsonify(errors=[problem]), 400
        try:
            page = self._ledger.page(after=after, limit=limit)
        except UnknownSequenceError as error:
            return jsonify(errors=[str(error)]), 409
        return jsonify(asdict(page))

    def _get_metrics(self) -> ResponseReturnValue:
        self._fleet.expire()
        body = generate_latest(self._instruments.registry)
        return Response(body, content_type=CONTENT_TYPE_LATEST)


def _refuse_locust_controls() -> None:
    if request.method == "POST" and request.path in _LOCUST_CONTROLS:
        abort(403, "the load is set by Ratchet: use PUT /ratchet/load")
