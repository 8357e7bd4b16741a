"""How fast a session may call its tools: each call is kept for good, and disks are finite. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """More than any honest operator needs: in half an hour 3,750 calls, or 75 MB on record."""

    #: calls at once
    burst: float = 150.0
    #: calls in the long run
    per_s: float = 2.0
    #: so many characters on record count as one call more
    chars: int = 20_000
    #: refusals are summed up in one event, at most so often, seconds
    told_every_s: float = 60.0


class Pacer:
    """A bucket of calls that fills up again; all times are epoch seconds."""

    def __init__(self, pace: Pace, *, at: float) -> None:
        self._pace = pace
        self._left = pace.burst
        self._at = at
        self._refused = 0
        self._told_at: float | None = None

    def admit(self, *, at: float) -> float:
        """0: go on, the call is counted. Else it is refused, and may be tried in so many seconds.

        The wait ends when the bucket is a quarter full: whoever heeds it is not refused at once
        again.
        """
        self._fill(at)
        if self._left >= 1:
            self._left -= 1
            return 0.0
        self._refused += 1
        return max(1.0, (self._pace.burst / 4 - self._left) / self._pace.per_s)

    def charge(self, chars: int) -> None:
        """So much of a call goes on record; known too late to refuse it, so that others wait."""
        self._left -= chars / self._pace.chars

    def untold(self, *, at: float, last: bool = False) -> int:
        """How many refusals are to be put on record now; they count as told.

        `last`: there will be no other occasion.
        """
        told_at = self._told_at
        due = last or told_at is None or at - told_at >= self._pace.told_every_s
        if not (self._refused and due):
            return 0
        refused, self._refused, self._told_at = self._refused, 0, at
        return refused

    def _fill(self, at: float) -> None:
        gained = max(0.0, at - self._at) * self._pace.per_s
        self._left = min(self._pace.burst, self._left + gained)
        self._at = max(self._at, at)
