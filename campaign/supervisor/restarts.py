"""How often, and how soon, an app that died is started again. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """At most ``limit`` restarts within ``window_s`` seconds, the first one at once."""

    limit: int = 5
    window_s: float = 60.0
    first_delay_s: float = 0.25
    longest_delay_s: float = 5.0

    def recent(self, exits: tuple[float, ...], *, at: float) -> tuple[float, ...]:
        """Return the exits (seconds since the epoch) that still count at time ``at``."""
        return tuple(when for when in exits if at - when < self.window_s)

    def delay_s(self, recent: tuple[float, ...]) -> float | None:
        """Return the wait before the next start, or None when the budget is spent.

        ``recent`` holds the exits within the window, the latest included. The first restart
        comes at once: clients wait in the listener's backlog.
        """
        if len(recent) > self.limit:
            return None
        if len(recent) <= 1:
            return 0.0
        doubled: float = self.first_delay_s * 2 ** (len(recent) - 2)
        return min(self.longest_delay_s, doubled)
