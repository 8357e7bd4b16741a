"""All exporters of a campaign in one process, over real registries, scraped by a real Prometheus.

The load generator's instruments, the app's own metrics and the probes' collector are given numbers;
the daemon's registry observes a campaign that the simulator plays, event by event.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from campaign.adapters.database.exposition import DatabaseFindings, Findings, LedgerFindings
from campaign.adapters.database.workload import Workload
from campaign.host_metrics import HostMetrics
from campaign.identity import PROMETHEUS_USER, identity_for
from campaign.machine import Campaign, step
from campaign.model import Evaluated, Event, Plan, Timings
from campaign.stack.programs import find_prometheus
from campaign.stack.prometheus import PrometheusServer, ScrapeJob
from campaign.stack.service import Service
from campaign.testing import Simulation, make_plan, make_profile, spender
from campaign.testing import World as Simulated
from campaign.webhook.metrics import WebhookMetrics
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue, rules_yaml
from loadgen.backlog import Arrival, Slot
from loadgen.dice import Roll
from loadgen.master_metrics import MasterInstruments
from loadgen.metrics import ErrorKind, Instruments
from loadgen.testing import held_port
from tests.grafana_kit import app_metrics

CATALOGUE = load_catalogue(PROFILES_ROOT / "chat_db_app")
INVARIANTS = calibrated(CATALOGUE.invariants, 0.005)
_RATE_HZ = 20
#: scrapes time out on a busy machine
_PATIENCE_S = 60.0


def plan() -> Plan:
    """Two trials that break real invariants."""
    broken = {"missing_index": "history_latency", "slow_search": "search_latency"}
    profiles = tuple(make_profile(name, breaks=breaks) for name, breaks in broken.items())
    return replace(make_plan(0), profiles=profiles, invariants=INVARIANTS)


def journal() -> list[Event]:
    """A whole campaign that ended just now."""
    begun_at = time.time() - _played(begin_at=0.0)[-1].at
    return _played(begin_at=begun_at)


def _played(*, begin_at: float) -> list[Event]:
    events: list[Event] = []
    simulation = Simulation(Simulated(plan=plan()), events, operator=spender, begin_at=begin_at)
    simulation.run(until=math.inf)
    return events


@dataclass(kw_only=True)
class World:
    """What the exporters would have seen by now; each second adds to it."""

    instruments: Instruments = field(default_factory=Instruments)
    app: Any = field(default_factory=app_metrics)
    findings: Findings = field(default_factory=Findings)
    daemon: CollectorRegistry = field(default_factory=CollectorRegistry)
    campaign: Campaign | None = None
    #: some answers are slow, and sessions sit idle in transactions
    ill: bool = True
    seconds: int = 0

    def __post_init__(self) -> None:
        self._metrics = HostMetrics(self.daemon)
        WebhookMetrics(self.daemon)
        self.instruments.registry.register(_Of(MasterInstruments(expected=1).registry))
        self.daemon.register(self.findings)

    @property
    def registries(self) -> Mapping[str, CollectorRegistry]:
        """By the name of the scrape job."""
        return {
            "loadgen": self.instruments.registry,
            "app": self.app._registry,
            "ratchet": self.daemon,
        }

    def observe(self, event: Event) -> None:
        before, self.campaign = self.campaign, step(self.campaign, event).campaign
        self._metrics.observe(before, event, self.campaign)

    def pass_a_second(self) -> None:
        self.seconds += 1
        self.instruments.load_parts.set(1)
        for behaviour, operations in CATALOGUE.target.behaviours.items():
            self.instruments.users.labels(behaviour).set(_RATE_HZ)
            for operation in operations:
                self._offer(behaviour, operation)
        self._serve()
        self._look()

    def _offer(self, behaviour: str, operation: str) -> None:
        series = self.instruments.series(behaviour=behaviour, operation=operation)
        series.offered_rate.set(_RATE_HZ)
        for index in range(_RATE_HZ):
            now_s = time.monotonic()
            slot = Slot(
                arrival=Arrival(user=0, index=index, roll=Roll(bits=0)),
                operation=operation,
                intended_s=now_s,
                counted_from_s=now_s,
            )
            series.offer(slot)
            series.start()
            series.settle(slot, age_s=1.2 if self.ill else 0.01)
            series.first_byte.observe(0.02)
            series.end(size_bytes=100)
            series.acknowledged.inc()
        series.fail(ErrorKind.TIMEOUT)

    def _serve(self) -> None:
        for status in (200, 500):
            self.app.observe("/messages", "GET", status, 0.03)

    def _look(self) -> None:
        done = 1_000 * self.seconds
        workload = Workload(
            committed=done,
            rolled_back=self.seconds,
            rows_read=100 * done,
            rows_written=done,
            blocks_cached=10 * done,
            blocks_fetched=done,
            temp_bytes=done,
            deadlocks=0,
            waiting=1,
            longest_s=0.5,
        )
        self.findings.probed(
            DatabaseFindings(
                connections={"idle": 5, "active": 2},
                stuck=40 if self.ill else 0,
                max_connections=100,
                wal_bytes=done,
                statements=done,
                workload=workload,
            )
        )
        self.findings.checked(
            LedgerFindings(lost_tokens=0, missing_messages=0, acknowledged_writes=done)
        )


class _Of(Collector):
    """Another registry as part of one: a master exposes its own beside its workers' sums."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


@dataclass(kw_only=True)
class Scraped:
    """A world, and the Prometheus that looks at it."""

    world: World
    server: PrometheusServer
    exporters: Mapping[str, TestServer]

    async def play(self, events: list[Event]) -> None:
        """Let the daemon observe them; Prometheus sees the state after each but the clock's."""
        for event in events:
            self.world.observe(event)
            assert self.world.campaign is not None
            self.world.ill = self.world.campaign.trial.index == 0
            if not isinstance(event, Evaluated):
                await self.server.wait_for_samples(
                    {"ratchet"}, since=time.time(), timeout_s=_PATIENCE_S
                )

    async def close(self, job: str) -> None:
        await self.exporters[job].close()


@asynccontextmanager
async def scraped(folder: Path) -> AsyncIterator[Scraped]:
    world = World()
    rules = folder / "rules.yml"
    rules.write_text(rules_yaml(INVARIANTS, Timings()))
    async with AsyncExitStack() as stack:
        exporters = {
            job: await stack.enter_async_context(_exporter(registry))
            for job, registry in world.registries.items()
        }
        server = PrometheusServer(
            programs=find_prometheus(),
            folder=folder / "prometheus",
            port=stack.enter_context(held_port()),
            identity=identity_for(PROMETHEUS_USER),
            jobs=tuple(_job(name, exporter) for name, exporter in exporters.items()),
            rule_files=(rules,),
        )
        await server.configure()
        service = Service(server.service(log_file=folder / "prometheus.log"))
        await service.start()
        stack.push_async_callback(service.stop)
        working = asyncio.create_task(_work(world), name="world")
        stack.callback(working.cancel)
        await server.wait_for_samples(
            set(world.registries), since=time.time(), timeout_s=_PATIENCE_S
        )
        yield Scraped(world=world, server=server, exporters=exporters)


def _job(name: str, exporter: TestServer) -> ScrapeJob:
    assert exporter.port is not None
    return ScrapeJob(name=name, port=exporter.port)


@asynccontextmanager
async def _exporter(registry: CollectorRegistry) -> AsyncIterator[TestServer]:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    server = TestServer(app, host="127.0.0.1")
    async with server:
        yield server


async def _work(world: World) -> None:
    while True:
        world.pass_a_second()
        await asyncio.sleep(1.0)
