"""One simulated user at work: the only place where arrivals meet the clock and the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.pool import Group

from loadgen.backlog import Arrival, Backlog, Slot
from loadgen.calls import Call
from loadgen.exchange import Exchange, Outcome
from loadgen.metrics import ErrorKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.calls import Behaviour, StreamCall
    from loadgen.dice import Dice
    from loadgen.health import WorstLag
    from loadgen.http_client import HttpClient
    from loadgen.metrics import Series
    from loadgen.schedule import Schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A settled slot, for whoever else keeps statistics (Locust's page)."""

    method: str
    operation: str
    age_s: float
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """What the users of one dimension share."""

    behaviour: Behaviour[Any]
    schedule: Schedule
    dice: Dice
    #: the series of each operation of the behaviour
    series: Mapping[str, Series]
    client: HttpClient
    #: how long a client waits for an answer, and how long a slot waits for its turn
    timeout_s: float
    lag: WorstLag
    report: Callable[[Report], None]


class Lane:
    """User number `user` of a team: offers what is due, in time, whatever became of the last."""

    def __init__(self, team: Team, *, user: int, first: int = 0) -> None:
        """`first`: the arrival that it begins with; earlier ones are nobody's, or another's."""
        self._team = team
        self._user = user
        self._first = first
        limit = team.behaviour.params.max_in_flight
        self._backlog = Backlog(limit=limit, patience_s=team.timeout_s)
        self._requests = Group()
        self._retired = Event()

    def run(self) -> None:
        """Offer arrivals until `retire`, then wait for what is in flight."""
        index = self._first
        while not self._retired.is_set():
            due_s = self._team.schedule.intended_s(user=self._user, index=index)
            if not self._sleep_until(due_s):
                break
            self._arrive(index, due_s)
            index += 1
        for slot in self._backlog.withdraw():
            self._series(slot).settle(slot, age_s=slot.age_s(time.monotonic()))
        self._requests.join()

    def retire(self) -> None:
        """Offer nothing more; what is in flight finishes.

        What waits for its turn counts with the age it has reached, and is no error: it is the
        load that was taken away, not the app that failed.
        """
        self._retired.set()

    def expire(self) -> None:
        """Give up the slots that have waited too long, now rather than at the next event."""
        for slot in self._backlog.expire(time.monotonic()):
            self._miss(slot, age_s=self._team.timeout_s)

    def abandon(self) -> None:
        """The process ends: drop everything."""
        self._retired.set()
        for slot in self._backlog.withdraw():
            self._series(slot).abandon(slot)
        self._requests.kill()

    def _sleep_until(self, due_s: float) -> bool:
        """False when the user was retired meanwhile."""
        delay_s = due_s - time.monotonic()
        if delay_s <= 0:
            gevent.sleep(0)
            return not self._retired.is_set()
        return not self._retired.wait(timeout=delay_s)

    def _arrive(self, index: int, due_s: float) -> None:
        now_s = time.monotonic()
        self._team.lag.note(at_s=now_s, lag_s=now_s - due_s)
        self.expire()
        slot = self._slot(index, due_s)
        self._series(slot).offer(slot)
        if self._backlog.offer(slot):
            self._requests.spawn(self._serve, slot)

    def _slot(self, index: int, due_s: float) -> Slot:
        roll = self._team.dice.roll(user=self._user, index=index)
        arrival = Arrival(user=self._user, index=index, roll=roll)
        operation = self._team.behaviour.operation(arrival)
        return Slot(arrival=arrival, operation=operation, intended_s=due_s, counted_from_s=due_s)

    def _serve(self, slot: Slot | None) -> None:
        """This slot, then those that waited for it to finish."""
        while slot is not None:
            self._request(slot)
            self.expire()
            slot = self._backlog.finish()

    def _request(self, slot: Slot) -> None:
        call = self._team.behaviour.call(slot.arrival)
        if isinstance(call, Call):
            slot.counted_from_s += call.allowance_s
        series = self._series(slot)
        series.start()
        size_bytes = 0
        try:
            outcome = self._exchange(call, slot)
            size_bytes = outcome.size_bytes
            self._settle(slot, call.method, outcome)
        finally:
            series.end(size_bytes=size_bytes)
            series.abandon(slot)

    def _exchange(self, call: Call | StreamCall, slot: Slot) -> Outcome:
        series = self._series(slot)

        def on_first(after_s: float) -> None:
            series.first_byte.observe(after_s)
            series.settle(slot, age_s=slot.age_s(time.monotonic()))

        exchange = Exchange(self._team.client, timeout_s=self._team.timeout_s)
        return exchange.perform(call, on_first=on_first)

    def _settle(self, slot: Slot, method: str, outcome: Outcome) -> None:
        age_s = slot.age_s(time.monotonic())
        series = self._series(slot)
        series.settle(slot, age_s=age_s)
        if outcome.error is not None:
            series.fail(outcome.error)
        self._team.report(
            Report(method=method, operation=slot.operation, age_s=age_s, outcome=outcome)
        )

    def _miss(self, slot: Slot, *, age_s: float) -> None:
        outcome = Outcome(error=ErrorKind.MISSED, size_bytes=0, detail="no turn in time")
        series = self._series(slot)
        series.settle(slot, age_s=age_s)
        series.fail(ErrorKind.MISSED)
        report = Report(method="", operation=slot.operation, age_s=age_s, outcome=outcome)
        self._team.report(report)

    def _series(self, slot: Slot) -> Series:
        return self._team.series[slot.operation]
