"""The master's hold on its workers: divides the load among them, and notices who is lost."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.lock import RLock
from pydantic import ValidationError

from loadgen.changes import Changes
from loadgen.control import UnavailableError
from loadgen.messages import ORDER, PATIENCE_S, REPORT, WORD, Order, Report, Word
from loadgen.roster import Member, Roster
from loadgen.spool import SpoolError, clear, leftover, remove

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from locust.runners import MasterRunner

    from loadgen.ledger import Ledger
    from loadgen.load import LoadVector, Params
    from loadgen.master_metrics import MasterInstruments
    from loadgen.messages import Numbered

_WATCH_S = 0.1
#: how long a worker may take to carry out an order
_ACKNOWLEDGE_S = 2.0
#: how long a reader of the ledger waits for what the workers still hold
_COLLECT_S = 0.5
#: from an order to the first arrival of a new dimension, and what each user adds to it
_LEAD_S, _LEAD_PER_USER_S = 0.2, 0.0001

logger = logging.getLogger("loadgen")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a master is told at its start and hands on to its workers."""

    token: str
    seed: int
    timeout_s: float
    #: it is not ready before so many were there at once
    expected: int
    #: where workers of this host leave what they acknowledged
    spool_dir: Path | None


class Conductor:
    """Implements `loadgen.control.Offering` by workers."""

    def __init__(
        self,
        *,
        runner: MasterRunner,
        params_models: Mapping[str, type[Params]],
        ledger: Ledger,
        instruments: MasterInstruments,
        settings: Settings,
    ) -> None:
        self.params_models = params_models
        self._runner = runner
        self._ledger = ledger
        self._instruments = instruments
        self._settings = settings
        #: which process this is
        self.id = secrets.token_hex(8)
        self._roster = Roster(patience_s=PATIENCE_S)
        self._changes = Changes()
        self._load: LoadVector | None = None
        #: by dimension, when its user 0 first arrives, on our monotonic clock
        self._starts_s: dict[str, float] = {}
        self._turn = 0
        self._ask = 0
        #: by life, the newest entry of its ledger that we have
        self._taken: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._dropped: dict[str, int] = {}
        #: lives that were lost, and left nothing that we do not have
        self._taken_from: set[str] = set()
        self._was_complete = False
        self._heard = Event()
        self._one_at_a_time = RLock()
        instruments.count_workers = self.count_workers
        # Of workers that were another master's, and were in its ledger.
        clear(settings.spool_dir)
        runner.register_message(REPORT, self._on_report)

    # -- what control asks ----------------------------------------------------------------------

    @property
    def load(self) -> LoadVector | None:
        return self._load

    @property
    def processes(self) -> int:
        return max(1, self._settings.expected, len(self._roster.members))

    @property
    def is_ready(self) -> bool:
        """All that are expected have been there at once; whoever is lost later is lost."""
        return self._was_complete

    def apply(self, load: LoadVector) -> None:
        """Returns when every worker plays its share.

        Raises:
            UnavailableError: there is no worker.
        """
        with self._one_at_a_time:
            now_s = time.monotonic()
            users = sum(dimension.users for dimension in load.dimensions)
            start_s = now_s + _LEAD_S + _LEAD_PER_USER_S * users
            self._starts_s = {
                key: self._starts_s.get(key, start_s + delay_s)
                for key, delay_s in load.delays_s().items()
            }
            self._load = load
            self._roster.divide()
            self._settle(gap_s=0.0)
            self._show_on_page(users)

    def expire(self) -> None:
        """Nothing of a request is counted here."""

    def collect(self) -> None:
        """Have the workers hand on what they hold of the ledger by now."""
        self._ask += 1
        asked = {life: member.client for life, member in self._roster.members.items()}
        for life, client in asked.items():
            self._say(life, client, ask=self._ask)
        self._wait(lambda: all(self._answered[life] >= self._ask for life in asked), _COLLECT_S)

    def status(self) -> dict[str, Any]:
        now_s = time.monotonic()
        return {
            "expected_workers": self._settings.expected,
            "workers": [
                _told(member, now_s=now_s)
                for member in sorted(self._roster.members.values(), key=lambda each: each.name)
            ],
            "lost_workers": [
                {"name": gap.name, "place": place, "silent_s": now_s - gap.since_s}
                for place, gap in sorted(self._roster.vacant.items())
            ],
        }

    def changes(self, *, after: int) -> list[dict[str, Any]]:
        """See `loadgen.changes.Change`."""
        return self._changes.after(after)

    def targets(self) -> list[str]:
        """What Prometheus scrapes; the address of one that is lost, as it may come back there."""
        there = [member.report.metrics for member in self._roster.members.values()]
        gone = [gap.metrics for gap in self._roster.vacant.values()]
        return sorted({*there, *gone})

    def count_workers(self) -> Mapping[str, int]:
        states = Counter(_state(member) for member in self._roster.members.values())
        states["lost"] = len(self._roster.vacant)
        return states

    # -- by itself ------------------------------------------------------------------------------

    def watch(self) -> None:
        """Look for workers that are lost or came back, forever."""
        while True:
            gevent.sleep(_WATCH_S)
            with self._one_at_a_time:
                lost = self._roster.lost(at_s=time.monotonic())
                self._update(lost)

    def _update(self, lost: Mapping[str, str]) -> None:
        """Those are lost; who is there plays what is nobody's."""
        gone = {life: self._roster.remove(life) for life in lost}
        since_s = self._roster.silent_since_s()
        filled = () if self._load is None else self._roster.fill()
        moved = bool(filled) or any(member.place is not None for member in gone.values())
        gap_s = 0.0
        if since_s is not None and any(member.place is not None for member in gone.values()):
            gap_s = time.monotonic() - since_s
        covered = True
        if moved and self._load is not None:
            covered = self._spread(gap_s=gap_s)
        for life, member in gone.items():
            self._note_loss(life, member, lost[life], covered=covered)
        for member in filled:
            self._note_join(member, "plays the place that was vacant")

    def _settle(self, *, gap_s: float) -> None:
        """As `_spread`; raises UnavailableError when nobody is left."""
        if not self._spread(gap_s=gap_s):
            raise UnavailableError("there is no worker to offer the load")

    def _spread(self, *, gap_s: float) -> bool:
        """Order, and have every worker that is there acknowledge; False: there is none.

        Who does not acknowledge in time is lost as well.
        """
        while True:
            self._turn += 1
            shares = self._roster.shares()
            if not shares:
                self._load = None
                self._starts_s = {}
                self._roster.dissolve()
                return False
            for life, share in shares.items():
                self._order(life, share.place, share.of, share.present, gap_s=gap_s)
            late = self._late(shares)
            if not late:
                return True
            for life in late:
                member = self._roster.remove(life)
                reason = f"did not carry out an order in {_ACKNOWLEDGE_S:g} s"
                self._note_loss(life, member, reason, covered=bool(self._roster.shares()))

    def _order(
        self, life: str, place: int, of: int, present: tuple[int, ...], *, gap_s: float
    ) -> None:
        assert self._load is not None  # noqa: S101 - only a load is divided
        now_s = time.monotonic()
        order = Order(
            token=self._settings.token,
            turn=self._turn,
            load=self._load.model_dump(mode="json"),
            place=place,
            of=of,
            present=present,
            starts_in_s={key: start_s - now_s for key, start_s in self._starts_s.items()},
            seed=self._settings.seed,
            timeout_s=self._settings.timeout_s,
            gap_s=gap_s,
        )
        client = self._roster.members[life].client
        self._runner.send_message(ORDER, order.model_dump(mode="json"), client_id=client)

    def _late(self, lives: Iterable[str]) -> list[str]:
        """Who of these has not carried out the newest order in time."""

        def behind() -> list[str]:
            members = self._roster.members
            return [life for life in lives if members[life].report.turn != self._turn]

        self._wait(lambda: not behind(), _ACKNOWLEDGE_S)
        return behind()

    def _wait(self, until: Any, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not until() and (left_s := deadline_s - time.monotonic()) > 0:
            self._heard.clear()
            self._heard.wait(timeout=left_s)

    # -- reports --------------------------------------------------------------------------------

    def _on_report(self, *, environment: object, msg: Any) -> None:  # noqa: ARG002 - Locust's names
        try:
            report = Report.model_validate(msg.data)
        except ValidationError as error:
            logger.warning(
                "a report is none", extra={"action": "report_refused", "why": str(error)}
            )
            return
        if not hmac.compare_digest(report.token.encode(), self._settings.token.encode()):
            logger.warning(
                "a worker has another token",
                extra={"action": "worker_refused", "worker": report.name},
            )
            return
        new = self._roster.hear(report, client=msg.node_id, at_s=time.monotonic())
        self._take(report.life, report.writes)
        self._count_dropped(report)
        self._answered[report.life] = max(self._answered[report.life], report.answers)
        self._was_complete |= len(self._roster.members) >= max(1, self._settings.expected)
        if new:
            self._greet(self._roster.members[report.life])
        self._say(report.life, msg.node_id)
        self._heard.set()

    def _greet(self, member: Member) -> None:
        logger.info(
            "%s joined", member.name, extra={"action": "worker_joined", "worker": member.name}
        )
        replaces = any(
            other.name == member.name for other in self._roster.members.values() if other != member
        )
        if self._load is not None and not self._roster.vacant and not replaces:
            self._note_join(member, "stands by until the next load")

    def _take(self, life: str, writes: Iterable[Numbered]) -> None:
        for entry in writes:
            if entry.seq > self._taken[life]:
                self._ledger.record(entry.write)
                self._taken[life] = entry.seq

    def _count_dropped(self, report: Report) -> None:
        more = report.dropped - self._dropped.get(report.life, 0)
        if more > 0:
            self._ledger.drop(more)
            self._dropped[report.life] = report.dropped

    def _say(self, life: str, client: str, *, ask: int = 0) -> None:
        member = self._roster.members.get(life)
        outside = member is None or (member.place is None and member.report.turn != 0)
        word = Word(
            token=self._settings.token,
            master=self.id,
            ledger=self._taken[life],
            outside=outside,
            ask=ask,
        )
        self._runner.send_message(WORD, word.model_dump(mode="json"), client_id=client)

    # -- what is told ---------------------------------------------------------------------------

    def _note_loss(self, life: str, member: Member, reason: str, *, covered: bool) -> None:
        self._instruments.losses.inc()
        others = ", ".join(sorted(each.name for each in self._placed()))
        told = f"{member.name} {reason}"
        if member.place is None:
            told += "; it stood by"
        elif self._load is None and not covered:
            told += "; no worker is left to play its users"
        elif self._load is not None:
            told += f"; its {member.report.users} users are played by {others}"
        try:
            self._take(life, leftover(self._settings.spool_dir, life, after=self._taken[life]))
        except SpoolError as error:
            if member.has_played:
                covered = False
                told += f"; which writes it acknowledged last is not known ({error})"
        else:
            self._taken_from.add(life)
            self._forget_spools()
        self._changes.add(
            at=time.time(), worker=member.name, kind="lost", reason=told, covered=covered
        )
        logger.warning(told, extra={"action": "worker_lost", "worker": member.name})

    def _forget_spools(self) -> None:
        """Of the lost; also of one that was only silent when it was lost, and has ended since."""
        if self._settings.spool_dir is not None:
            remove(self._settings.spool_dir, self._taken_from - self._roster.members.keys())

    def _note_join(self, member: Member, reason: str) -> None:
        told = f"{member.name} {reason}"
        self._changes.add(at=time.time(), worker=member.name, kind="joined", reason=told)
        logger.info(told, extra={"action": "worker_back", "worker": member.name})

    def _placed(self) -> list[Member]:
        return [member for member in self._roster.members.values() if member.place is not None]

    def _show_on_page(self, users: int) -> None:
        self._runner.target_user_count = users
        self._runner.environment.events.spawning_complete.fire(user_count=users)


def _state(member: Member) -> str:
    return "standby" if member.place is None else "playing"


def _told(member: Member, *, now_s: float) -> dict[str, Any]:
    report = member.report
    return {
        "name": report.name,
        "state": _state(member),
        "place": member.place,
        "users": report.users,
        "lag_s": report.lag_s,
        "cpu_ratio": report.cpu_ratio,
        "silent_s": now_s - member.heard_at_s,
        "metrics": report.metrics,
        "pid": report.pid,
    }
