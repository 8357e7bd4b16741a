"""What the master of several load generators tells of itself; requests are its workers' matter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from loadgen.health import CpuShare, WorstLag

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

#: what a worker can be
STATES = ("playing", "standby", "lost")


class MasterInstruments:
    """All metrics of a master, in a registry of their own."""

    def __init__(self, *, expected: int) -> None:
        self.registry = CollectorRegistry()
        self.lag = WorstLag()
        self.cpu = CpuShare()
        self.losses = Counter(
            "loadgen_master_lost_workers_total",
            "Workers that were lost.",
            registry=self.registry,
        )
        self.expected = expected
        #: how many workers are in each of `STATES` now
        self.count_workers: Callable[[], Mapping[str, int]] = dict
        self.registry.register(_AtScrapeTime(self))


class _AtScrapeTime(Collector):
    def __init__(self, instruments: MasterInstruments) -> None:
        self._instruments = instruments

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        workers = GaugeMetricFamily(
            "loadgen_master_workers",
            f"Workers of the load generator, by state: {', '.join(STATES)}.",
            labels=("state",),
        )
        counted = self._instruments.count_workers()
        for state in STATES:
            workers.add_metric((state,), counted.get(state, 0))
        yield workers
        yield GaugeMetricFamily(
            "loadgen_master_expected_workers",
            "Workers that the master was told to wait for at its start.",
            value=self._instruments.expected,
        )
        yield GaugeMetricFamily(
            "loadgen_master_scheduler_lag_seconds",
            "How much too late the master woke up, at worst, in the last second.",
            value=self._instruments.lag.worst_s(at_s=time.monotonic()),
        )
        yield GaugeMetricFamily(
            "loadgen_master_cpu_ratio",
            "Share of one core that the master used in the last second.",
            value=self._instruments.cpu.ratio(),
        )
