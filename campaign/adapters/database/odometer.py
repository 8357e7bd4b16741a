"""A counter over numbers that a server keeps, and may forget."""

from __future__ import annotations


class Odometer:
    """How far a number that the server keeps has moved on, as far as it was watched.

    A step back adds nothing: Postgres was told to forget its statistics, or had no room for a
    rare statement's any more.
    """

    def __init__(self) -> None:
        self._total = 0
        self._last: int | None = None

    def at(self, position: int) -> int:
        """The total, now that the number is `position`."""
        if self._last is not None:
            self._total += max(0, position - self._last)
        self._last = position
        return self._total

    def lift(self) -> None:
        """Whatever the next position is, nothing was travelled up to it."""
        self._last = None
