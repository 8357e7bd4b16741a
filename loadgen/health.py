"""Is the generator itself keeping up? Judged by its own lateness and its own CPU time."""

from __future__ import annotations

from collections import deque

#: What "in the last second" means for both gauges.
WINDOW_S = 1.0


class WorstLag:
    """The worst wake-up lag within the last `WINDOW_S` seconds."""

    def __init__(self) -> None:
        # Lags from oldest to newest, each smaller than the one before: the first is the worst.
        self._candidates: deque[tuple[float, float]] = deque()

    def note(self, *, at_s: float, lag_s: float) -> None:
        """Something that was due `lag_s` before `at_s` was noticed only then."""
        while self._candidates and self._candidates[-1][1] <= lag_s:
            self._candidates.pop()
        self._candidates.append((at_s, lag_s))
        self._forget_before(at_s - WINDOW_S)

    def worst_s(self, *, at_s: float) -> float:
        self._forget_before(at_s - WINDOW_S)
        return max(0.0, self._candidates[0][1]) if self._candidates else 0.0

    def _forget_before(self, at_s: float) -> None:
        while self._candidates and self._candidates[0][0] < at_s:
            self._candidates.popleft()


class CpuShare:
    """This process's share of one core in the last `WINDOW_S` seconds, from its CPU time."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def note(self, *, at_s: float, cpu_s: float) -> None:
        """At `at_s` the process had used `cpu_s` seconds of CPU in its whole life."""
        self._samples.append((at_s, cpu_s))
        while len(self._samples) > 1 and self._samples[1][0] <= at_s - WINDOW_S:
            self._samples.popleft()

    def ratio(self) -> float:
        """CPU seconds per second; 0 until there are two samples."""
        if not self._samples:
            return 0.0
        (first_s, first_cpu_s), (last_s, last_cpu_s) = self._samples[0], self._samples[-1]
        elapsed_s = last_s - first_s
        return (last_cpu_s - first_cpu_s) / elapsed_s if elapsed_s > 0 else 0.0
