"""What one simulated user has offered and not finished: some in flight, the rest waits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgen.dice import Roll


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One scheduled request: whose it is, which one, and its random bits."""

    #: number of the simulated user within its dimension, from 0
    user: int
    #: number of the arrival of this user, from 0
    index: int
    roll: Roll


@dataclass(kw_only=True, slots=True, eq=False)
class Slot:
    """An arrival on its way from its intended start to its answer."""

    arrival: Arrival
    operation: str
    #: when it was due, on the monotonic clock
    intended_s: float
    #: from when its age counts as latency: later for a poll, which asked the app to wait
    counted_from_s: float

    def age_s(self, now_s: float) -> float:
        return max(0.0, now_s - self.counted_from_s)


class Backlog:
    """The slots of one user: at most `limit` in flight, and none waits longer than `patience_s`.

    A slot that waited that long is handed back by `expire`, once, and forgotten: when the app
    comes back after a minute it meets at most `patience_s` seconds' worth of waiting slots.
    """

    def __init__(self, *, limit: int, patience_s: float) -> None:
        self._limit = limit
        self._patience_s = patience_s
        self._waiting: deque[Slot] = deque()
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def offer(self, slot: Slot) -> bool:
        """Take in a slot that is due; True when it starts at once, else it waits its turn."""
        if self._in_flight >= self._limit:
            self._waiting.append(slot)
            return False
        self._in_flight += 1
        return True

    def expire(self, now_s: float) -> list[Slot]:
        """Drop and return the slots that have waited for `patience_s` or longer."""
        missed = []
        while self._waiting and now_s - self._waiting[0].intended_s >= self._patience_s:
            missed.append(self._waiting.popleft())
        return missed

    def finish(self) -> Slot | None:
        """A slot in flight is done: return the one that starts in its place, if any waits."""
        if self._waiting:
            return self._waiting.popleft()
        self._in_flight -= 1
        return None

    def withdraw(self) -> list[Slot]:
        """The user leaves: drop and return everything that waits; what is in flight finishes."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting
