"""When a simulated user's requests are due: arithmetic only, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

_SPREAD_S = 1.0
_GOLDEN = (math.sqrt(5) - 1) / 2


def delay_s(number: int, *, rate_hz: float) -> float:
    """Seconds from a load's start to the first arrival of its dimension `number` (from 0).

    Dimensions have periods in common; begun at one instant, they would all burst together for good.
    Spread by the golden ratio (an additive recurrence), no two come near each other, however many
    there are.
    """
    return number * _GOLDEN % 1.0 * min(_SPREAD_S, 1.0 / rate_hz)


class ArrivalKind(StrEnum):
    """How the users of one dimension lie in time relative to each other."""

    STAGGERED = "staggered"
    BURST = "burst"


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """The arrivals of one dimension; open loop, so nothing here knows about answers.

    Every instant is computed from `start_s` by multiplication, never from the one before:
    errors do not add up, and a late wake-up does not shift what follows.
    """

    #: scheduled arrivals per second of each user
    rate_hz: float
    #: number of simulated users that share the schedule
    users: int
    arrival: ArrivalKind
    #: the instant of the first arrival of user 0, on the caller's monotonic clock
    start_s: float

    @property
    def period_s(self) -> float:
        return 1.0 / self.rate_hz

    def phase(self, user: int) -> float:
        """Where in its period user number `user` arrives: 0 ≤ phase < 1."""
        return 0.0 if self.arrival is ArrivalKind.BURST else user / self.users

    def intended_s(self, *, user: int, index: int) -> float:
        """The instant at which arrival `index` (from 0) of user number `user` is due."""
        return self.start_s + (index + self.phase(user)) / self.rate_hz

    def next_index(self, *, user: int, at_s: float) -> int:
        """The first arrival of user number `user` that is not due before `at_s`."""
        return max(0, math.ceil((at_s - self.start_s) * self.rate_hz - self.phase(user)))
