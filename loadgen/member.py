"""A worker's side: plays the share that it is ordered to, and reports what came of it."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from locust import __version__
from pydantic import ValidationError

from loadgen.fleet import Assignment
from loadgen.health import WINDOW_S
from loadgen.ledger import Write
from loadgen.load import LoadVector
from loadgen.messages import (
    ORDER,
    PATIENCE_S,
    REPORT,
    WORD,
    Numbered,
    Order,
    Report,
    Word,
)
from loadgen.shares import Share

if TYPE_CHECKING:
    from locust.runners import WorkerRunner

    from loadgen.fleet import Fleet
    from loadgen.ledger import Ledger
    from loadgen.metrics import Instruments
    from loadgen.spool import Spool

_REPORT_PERIOD_S = 0.2
#: a worker ends that no master has a word for in so long; whoever started it may do so again
_HOPE_S = 20.0
#: entries of the ledger in one report, and in one that the master asked for
_ENTRIES, _ENTRIES_ASKED = 500, 10_000

logger = logging.getLogger("loadgen")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who this worker is."""

    token: str
    name: str
    #: this process
    life: str
    #: where Prometheus scrapes it, host:port
    metrics: str


def new_life(name: str) -> str:
    return f"{name}-{secrets.token_hex(6)}"


class SpooledLedger:
    """What `loadgen.fleet` tells of acknowledged writes, to the ledger and to the disk."""

    def __init__(self, ledger: Ledger, spool: Spool | None) -> None:
        self._ledger = ledger
        self._spool = spool

    def record(self, write: Write) -> None:
        if self._spool is not None:
            self._spool.write(self._ledger.newest + 1, write)
        self._ledger.record(write)


class Member:
    """One worker of a master; stops offering anything when no master hears it."""

    def __init__(
        self,
        *,
        runner: WorkerRunner,
        identity: Identity,
        fleet: Fleet,
        ledger: Ledger,
        spool: Spool | None,
        instruments: Instruments,
    ) -> None:
        self._runner = runner
        self._identity = identity
        self._fleet = fleet
        self._ledger = ledger
        self._spool = spool
        self._instruments = instruments
        #: the newest order that is carried out, and entry that the master has
        self._turn = 0
        self._handed_on = 0
        self._answers = 0
        self._master: str | None = None
        self._heard_at_s = time.monotonic()
        self._hurry = Event()
        runner.register_message(ORDER, self._on_order)
        runner.register_message(WORD, self._on_word)

    def report(self) -> None:
        """Report every `_REPORT_PERIOD_S`, and at once when something is waited for."""
        while True:
            self._hurry.clear()
            self._send_report()
            self._hurry.wait(timeout=_REPORT_PERIOD_S)

    def watch(self) -> None:
        """A master that hears nothing of us has given our users to others by now.

        Returns when nothing more can be hoped for: it is gone, or was told another token.
        """
        silent_s = 0.0
        while silent_s < _HOPE_S:
            gevent.sleep(_REPORT_PERIOD_S / 2)
            silent_s = time.monotonic() - self._heard_at_s
            if self._turn and silent_s >= PATIENCE_S:
                self._stand_aside(f"no word from the master for {silent_s:.1f} s")
        logger.error("no word from the master for %.0f s", silent_s, extra={"action": "forsaken"})

    def _on_order(self, *, environment: object, msg: Any) -> None:  # noqa: ARG002 - Locust's names
        told_at_s = time.monotonic()
        try:
            order = Order.model_validate(msg.data)
            load = LoadVector.checked(order.load, processes=order.of)
            share = Share(place=order.place, of=order.of, present=order.present)
        except ValueError as error:
            logger.warning("an order is none", extra={"action": "order_refused", "why": str(error)})
            return
        if not self._is_our_master(order.token) or order.turn <= self._turn:
            return
        self._heard_at_s = told_at_s
        assigned = Assignment(
            share=share,
            seed=order.seed,
            timeout_s=order.timeout_s,
            told_at_s=told_at_s,
            starts_in_s=order.starts_in_s,
        )
        self._fleet.apply(load, assigned)
        # Users that nobody played for a while were not offered in time: that is lag, if any is.
        # As if it were a second later, so that no scrape, one a second, can miss it.
        if order.gap_s > 0:
            self._instruments.lag.note(at_s=time.monotonic() + WINDOW_S, lag_s=order.gap_s)
        self._turn = order.turn
        logger.info(
            "plays place %d of %d of load %s",
            share.place,
            share.of,
            load.id,
            extra={"action": "order_done", "load": load.id, "users": self._users()},
        )
        self._hurry.set()

    def _on_word(self, *, environment: object, msg: Any) -> None:  # noqa: ARG002 - Locust's names
        try:
            word = Word.model_validate(msg.data)
        except ValidationError as error:
            logger.warning("a word is none", extra={"action": "word_refused", "why": str(error)})
            return
        if not self._is_our_master(word.token):
            return
        self._heard_at_s = time.monotonic()
        self._meet(word.master)
        if word.outside and self._turn:
            self._stand_aside("the master has given our users to others")
        if self._handed_on < word.ledger <= self._ledger.newest:
            self._handed_on = word.ledger
            if self._spool is not None:
                self._spool.handed_on(word.ledger)
        if word.ask > self._answers:
            self._answers = word.ask
            self._send_report(most=_ENTRIES_ASKED)
        elif self._ledger.newest > self._handed_on + _ENTRIES:
            self._hurry.set()

    def _meet(self, master: str) -> None:
        """Another process of the master's knows neither our orders nor Locust's greeting."""
        if self._master is not None and master != self._master:
            self._stand_aside("the master was started again")
            self._answers = 0
            self._runner.send_message("client_ready", __version__)
        self._master = master

    def _stand_aside(self, reason: str) -> None:
        logger.warning("offers nothing: %s", reason, extra={"action": "stood_aside"})
        self._fleet.withdraw()
        self._turn = 0
        self._hurry.set()

    def _is_our_master(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._identity.token.encode())

    def _users(self) -> int:
        return int(self._runner.target_user_count)

    def _send_report(self, *, most: int = _ENTRIES) -> None:
        page = self._ledger.page(after=self._handed_on, limit=most)
        report = Report(
            token=self._identity.token,
            name=self._identity.name,
            life=self._identity.life,
            pid=os.getpid(),
            metrics=self._identity.metrics,
            turn=self._turn,
            users=self._users() if self._turn else 0,
            lag_s=self._instruments.lag.worst_s(at_s=time.monotonic()),
            cpu_ratio=self._instruments.cpu.ratio(),
            writes=tuple(_numbered(entry) for entry in page.entries),
            dropped=page.dropped,
            answers=self._answers,
        )
        self._runner.send_message(REPORT, report.model_dump(mode="json"))


def _numbered(entry: dict[str, Any]) -> Numbered:
    rest = {name: value for name, value in entry.items() if name != "seq"}
    return Numbered(seq=entry["seq"], write=Write(**rest))
