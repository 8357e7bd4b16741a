"""The whole way once: real instruments, a real Prometheus, the rules, the client, the judge.

promtool's tests invent the series; here they come from the load generator's own instruments and
from the probes' own collector, so that a name or a label that differs is noticed.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, generate_latest

from campaign.adapters.database.exposition import DatabaseFindings, Findings, LedgerFindings
from campaign.adapters.prometheus import PrometheusClient
from campaign.identity import PROMETHEUS_USER, identity_for
from campaign.model import Invariant, Status, Timings, judge
from campaign.stack.network import Ports, choose_ports
from campaign.stack.places import make_socket_folder
from campaign.stack.programs import find_prometheus
from campaign.stack.prometheus import PrometheusServer, ScrapeJob
from campaign.stack.service import Service
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue, rules_yaml
from loadgen.backlog import Arrival, Slot
from loadgen.dice import Roll
from loadgen.metrics import Instruments

pytestmark = pytest.mark.alone

CATALOGUE = load_catalogue(PROFILES_ROOT / "chat_db_app")
INVARIANTS = calibrated(CATALOGUE.invariants, 0.005)
RATE_HZ = 20.0
PATIENCE_S = 90.0


@dataclass(kw_only=True)
class World:
    """What the two processes would have seen; changed while Prometheus looks on."""

    instruments: Instruments = field(default_factory=Instruments)
    findings: Findings = field(default_factory=Findings)
    #: seconds each request takes
    takes_s: float = 0.01
    stuck: int = 0

    def offer(self) -> None:
        """Every operation gets its share of a second's requests, and a probe is due."""
        for behaviour, operations in CATALOGUE.target.behaviours.items():
            for operation in operations:
                self._offer(behaviour, operation)
        self.findings.probed(
            DatabaseFindings(
                connections={"idle": 5},
                stuck=self.stuck,
                max_connections=100,
                wal_bytes=0,
                statements=0,
            )
        )
        self.findings.checked(
            LedgerFindings(lost_tokens=0, missing_messages=0, acknowledged_writes=1)
        )

    def _offer(self, behaviour: str, operation: str) -> None:
        series = self.instruments.series(behaviour=behaviour, operation=operation)
        series.offered_rate.set(RATE_HZ)
        for index in range(int(RATE_HZ)):
            now_s = time.monotonic()
            slot = Slot(
                arrival=Arrival(user=0, index=index, roll=Roll(bits=0)),
                operation=operation,
                intended_s=now_s,
                counted_from_s=now_s,
            )
            series.offer(slot)
            series.start()
            series.settle(slot, age_s=self.takes_s)
            series.end(size_bytes=100)
            series.acknowledged.inc()


@asynccontextmanager
async def exporter(*registries: CollectorRegistry) -> AsyncIterator[int]:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=b"".join(generate_latest(each) for each in registries))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app, host="127.0.0.1") as server:
        assert server.port is not None
        yield server.port


@asynccontextmanager
async def prometheus(world: World, folder: Path) -> AsyncIterator[str]:
    """Prometheus with the generated rules, scraping `world` as both jobs; gives its URL."""
    rules = folder / "rules.yml"
    rules.write_text(rules_yaml(INVARIANTS, Timings()))
    ratchet = CollectorRegistry()
    ratchet.register(world.findings)
    async with exporter(world.instruments.registry) as loadgen, exporter(ratchet) as daemon:
        server = PrometheusServer(
            programs=find_prometheus(),
            folder=folder / "prometheus",
            port=choose_ports(Ports()).prometheus,
            identity=identity_for(PROMETHEUS_USER),
            jobs=(ScrapeJob(name="loadgen", port=loadgen), ScrapeJob(name="ratchet", port=daemon)),
            rule_files=(rules,),
        )
        await server.configure()
        service = Service(server.service(log_file=folder / "prometheus.log"))
        await service.start()
        try:
            yield server.url
        finally:
            await service.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    """pytest's own folders could not be entered by Prometheus' user."""
    folder = make_socket_folder()
    yield folder
    shutil.rmtree(folder)


@asynccontextmanager
async def at_work(world: World) -> AsyncIterator[None]:
    async def work() -> None:
        while True:
            world.offer()
            await asyncio.sleep(1.0)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(
    client: PrometheusClient, expected: dict[str, Status], *, of: tuple[Invariant, ...] = INVARIANTS
) -> None:
    """Wait for these statuses, all at once."""
    seen: dict[str, Status] = {}
    try:
        async with asyncio.timeout(PATIENCE_S):
            while {name: seen.get(name) for name in expected} != expected:
                seen = await statuses(client, of)
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"at last: {seen}")


async def statuses(
    client: PrometheusClient, invariants: tuple[Invariant, ...]
) -> dict[str, Status]:
    observed = await client.observe()
    samples = {sample.invariant: sample for sample in observed.samples}
    return {
        invariant.id: judge(
            invariant,
            samples.get(invariant.id),
            at=time.time(),
            freshness_s=Timings().freshness_s,
            starved=observed.generator is None,
        ).status
        for invariant in invariants
    }


async def test_real_series_become_held_violated_and_unknown(folder: Path) -> None:
    world, began = World(), time.time()
    async with prometheus(world, folder) as url, PrometheusClient(url) as client:
        async with at_work(world):
            await until(client, {invariant.id: Status.HELD for invariant in INVARIANTS})
            world.takes_s, world.stuck = 1.2, 40
            slow = ("canary_latency", "history_latency", "search_latency")
            violated = dict.fromkeys((*slow, "idle_in_transaction"), Status.VIOLATED)
            await until(client, {**violated, "error_rate": Status.HELD})
        silent = {invariant.id: Status.UNKNOWN for invariant in INVARIANTS}
        # These are judged by what is sent: nothing is, any more.
        idle = dict.fromkeys(("response_bytes", "statements_per_request"), Status.IDLE)
        await until(client, {**silent, **idle})
        (series, *_) = await client.range_series(
            'ratchet:invariant_value{invariant="idle_in_transaction"}',
            start=began,
            end=time.time(),
            step_s=1,
        )
        assert {0.0, 40.0} <= {point.value for point in series.points}
