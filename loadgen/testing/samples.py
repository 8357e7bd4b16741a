"""What a test looks at: scrapes, and waiting for something to be true."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families

OFFERED = "loadgen_requests_offered_total"
STARTED = "loadgen_requests_started_total"
DONE = "loadgen_request_duration_seconds_count"
QUICKER = "loadgen_request_duration_seconds_bucket"
ERRORS = "loadgen_request_errors_total"
OLDER = "loadgen_unanswered_requests"
IN_FLIGHT = "loadgen_inflight_requests"

#: Of the generators in tests: shorter than in a campaign, so that a hang takes seconds.
CLIENT_TIMEOUT_S = 1.0

_TIMEOUT_S = 30.0

ValueT = TypeVar("ValueT")


def wait_until(
    what: str, look: Callable[[], ValueT | None], *, timeout_s: float = _TIMEOUT_S
) -> ValueT:
    """Look every 20 ms until there is something; raises TimeoutError saying what was missing."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"after {timeout_s:g} s still waiting: {what}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """One scrape, taken at `at_s` on the monotonic clock."""

    at_s: float
    _values: dict[str, list[tuple[dict[str, str], float]]]

    @classmethod
    def parse(cls, text: str) -> Self:
        values: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                values.setdefault(sample.name, []).append((sample.labels, sample.value))
        return cls(at_s=time.monotonic(), _values=values)

    def total(self, name: str, **labels: str) -> float:
        """The sum over the samples that have these labels; 0 when there is none."""
        return sum(self.values(name, **labels))

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of the samples that have these labels."""
        return [
            value for given, value in self._values.get(name, []) if labels.items() <= given.items()
        ]
