"""What clients saw, as Prometheus series. Authoritative: Locust's own statistics are for the eye.

Accounting, per (behaviour, operation): every offered slot is either open or has exactly one
observation in the duration histogram. Errors are counted besides, at most one per slot.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from loadgen.health import CpuShare, WorstLag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric

    from loadgen.backlog import Slot

#: Edges in seconds of the duration histogram and of `loadgen_unanswered_requests`.
BUCKETS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
)

_LABELS = ("behaviour", "operation")


class ErrorKind(StrEnum):
    """Why a slot is an error, as a client would sort it."""

    TIMEOUT = "timeout"
    SERVER = "5xx"
    CLIENT = "4xx"
    CONNECTION = "connection"
    INVALID = "invalid"
    MISSED = "missed"


class Series:
    """The series of one (behaviour, operation), with their children looked up once."""

    def __init__(self, instruments: Instruments, *, behaviour: str, operation: str) -> None:
        labels = (behaviour, operation)
        self.behaviour = behaviour
        self.operation = operation
        self.offered_rate = instruments.offered_rate.labels(*labels)
        self.acknowledged = instruments.acknowledged.labels(*labels)
        self.first_byte = instruments.first_byte.labels(*labels)
        self._offered = instruments.offered.labels(*labels)
        self._started = instruments.started.labels(*labels)
        self._duration = instruments.duration.labels(*labels)
        self._bytes = instruments.response_bytes.labels(*labels)
        self._errors = {kind: instruments.errors.labels(*labels, kind) for kind in ErrorKind}
        self._open: set[Slot] = set()
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests sent whose exchange has not ended: a stream counts until its last token."""
        return self._in_flight

    def older_than(self, edges_s: Iterable[float], *, now_s: float) -> list[int]:
        """For each edge: how many unanswered slots, waiting or in flight, are older than it."""
        ages = [slot.age_s(now_s) for slot in self._open]
        return [sum(age > edge for age in ages) for edge in edges_s]

    def offer(self, slot: Slot) -> None:
        self._offered.inc()
        self._open.add(slot)

    def start(self) -> None:
        self._started.inc()
        self._in_flight += 1

    def end(self, *, size_bytes: int) -> None:
        """The exchange begun by `start` is over, however it went."""
        self._in_flight -= 1
        self._bytes.inc(size_bytes)

    def settle(self, slot: Slot, *, age_s: float) -> None:
        """The client knows how long this slot took; only the first time counts."""
        if slot in self._open:
            self._open.discard(slot)
            self._duration.observe(age_s)

    def fail(self, kind: ErrorKind) -> None:
        self._errors[kind].inc()

    def abandon(self, slot: Slot) -> None:
        """The process is ending before an answer came: nothing was observed."""
        self._open.discard(slot)


class Instruments:
    """All metrics of one load generator process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.duration = Histogram(
            "loadgen_request_duration_seconds",
            "Time from the intended start of a request to its answer, by behaviour and operation; "
            "of a stream to its first token, of a poll what it took beyond what it asked for.",
            _LABELS,
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.first_byte = Histogram(
            "loadgen_first_byte_seconds",
            "Time from the sending of a stream's request to its first token, by behaviour and "
            "operation.",
            _LABELS,
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.offered = self._counter(
            "loadgen_requests_offered_total",
            "Arrivals that were scheduled, sent or not, by behaviour and operation.",
        )
        self.started = self._counter(
            "loadgen_requests_started_total",
            "Requests that were sent, by behaviour and operation.",
        )
        self.response_bytes = self._counter(
            "loadgen_response_bytes_total",
            "Bytes of bodies that were received, by behaviour and operation.",
        )
        self.acknowledged = self._counter(
            "loadgen_acknowledged_writes_total",
            "Messages that the app said it had stored, by behaviour and operation.",
        )
        self.errors = Counter(
            "loadgen_request_errors_total",
            "Arrivals that went wrong, each at most once, by behaviour, operation and kind: "
            f"{', '.join(ErrorKind)}.",
            (*_LABELS, "kind"),
            registry=self.registry,
        )
        self.offered_rate = Gauge(
            "loadgen_offered_rate_hertz",
            "Arrivals per second that are configured, by behaviour and operation.",
            _LABELS,
            registry=self.registry,
        )
        self.users = Gauge(
            "loadgen_users",
            "Simulated users that are configured, by behaviour.",
            ("behaviour",),
            registry=self.registry,
        )
        self.load_parts = Gauge(
            "loadgen_load_parts",
            "Load generators among which the load is divided; 0 for one that has no part in it.",
            registry=self.registry,
        )
        self.lag = WorstLag()
        self.cpu = CpuShare()
        self._series: dict[str, Series] = {}
        self.registry.register(_AtScrapeTime(self))

    @property
    def all_series(self) -> Mapping[str, Series]:
        return self._series

    def series(self, *, behaviour: str, operation: str) -> Series:
        """The series of this pair; all of them exist, at zero, from the first call on."""
        key = f"{behaviour}/{operation}"
        if key not in self._series:
            self._series[key] = Series(self, behaviour=behaviour, operation=operation)
        return self._series[key]

    def _counter(self, name: str, documentation: str) -> Counter:
        return Counter(name, documentation, _LABELS, registry=self.registry)


class _AtScrapeTime(Collector):
    """The gauges that are exact only if they are computed when somebody asks."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        now_s = time.monotonic()
        in_flight = GaugeMetricFamily(
            "loadgen_inflight_requests",
            "Requests that were sent and are not over, by behaviour and operation.",
            labels=_LABELS,
        )
        older = GaugeMetricFamily(
            "loadgen_unanswered_requests",
            "Arrivals without an answer, sent or not, that are older than older_than_seconds, by "
            "behaviour and operation; one edge includes all later ones.",
            labels=(*_LABELS, "older_than_seconds"),
        )
        for series in self._instruments.all_series.values():
            labels = (series.behaviour, series.operation)
            in_flight.add_metric(labels, series.in_flight)
            counts = series.older_than(BUCKETS_S, now_s=now_s)
            for edge_s, count in zip(BUCKETS_S, counts, strict=True):
                older.add_metric((*labels, str(edge_s)), count)
        yield in_flight
        yield older
        yield GaugeMetricFamily(
            "loadgen_scheduler_lag_seconds",
            "How much too late the process woke up, at worst, in the last second.",
            value=self._instruments.lag.worst_s(at_s=now_s),
        )
        yield GaugeMetricFamily(
            "loadgen_cpu_ratio",
            "Share of one core that this process used in the last second.",
            value=self._instruments.cpu.ratio(),
        )
