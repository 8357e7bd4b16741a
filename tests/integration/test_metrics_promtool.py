"""What each process really exposes: Prometheus's own tool judges it, docs/metrics.md lists it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import prometheus_client
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from campaign.adapters.database import Probes
from campaign.adapters.loadgen import LedgerPage
from campaign.host import Host
from campaign.machine import Campaign, step
from campaign.metrics_page import bound_of, documented, read_families
from campaign.testing import spender
from campaign.webhook.metrics import webhook_metrics
from loadgen.testing import FakeApp, Generator, held_port
from tests.integration.database_kit import Server, catalogue, running_server
from tests.integration.gates_kit import serving
from tests.runs_kit import played

pytest_plugins = ["loadgen.testing.fixtures"]
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which("promtool") is None,
        reason="promtool is missing, so NOTHING HERE IS CHECKED: install Debian's prometheus",
    ),
]

DOCUMENTED = {
    exporter.title: {metric.name for metric in exporter.metrics} for exporter in documented()
}


def complaints(exposition: str) -> str:
    """What promtool has against it; empty: nothing."""
    assert "# TYPE" in exposition
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposition,
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout + done.stderr
    assert bool(told) == bool(done.returncode), (done.returncode, told)
    return told


def exposed(exposition: str) -> set[str]:
    """The names of the metrics that have a sample."""
    families = (each for each in text_string_to_metric_families(exposition) if each.samples)
    return {metric.name for metric in read_families(families)}


def unbounded(exposition: str, *, job: str) -> set[tuple[str, str, str]]:
    """Metric, label and value of what a label says beyond what bounds it."""
    return {
        (family.name, label, value)
        for family in text_string_to_metric_families(exposition)
        for metric in read_families([family] if family.samples else [])
        for sample in family.samples
        for label, value in sample.labels.items()
        if label in metric.labels
        and (values := bound_of(job, metric.name, label).values) is not None
        and value not in values
    }


async def scrape(url: str, *, path: Path | None = None) -> str:
    connector = None if path is None else aiohttp.UnixConnector(str(path))
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        answer.raise_for_status()
        return await answer.text()


class NoLedger:
    """Of a generator to which nothing was acknowledged."""

    async def ledger(self, *, after: int, limit: int) -> LedgerPage:
        assert (after, limit) >= (0, 1)
        return LedgerPage(entries=(), last=0, dropped=0)


@pytest.fixture(scope="module")
def without_created_series() -> Iterator[None]:
    """As the command sets its process up."""
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    yield
    prometheus_client.enable_created_metrics()  # type: ignore[no-untyped-call]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server() as running:
        yield running


@pytest.mark.usefixtures("without_created_series")
async def test_the_daemons(server: Server, tmp_path: Path) -> None:
    """At its start, and at every turn of a campaign that is played while the probes look."""
    async with Host(tmp_path) as host, AsyncExitStack() as stack:
        url = f"{host.address.url}/metrics"
        assert complaints(await scrape(url)) == ""
        probes = Probes(
            server.superuser_dsn,
            maintenance_dsn=server.addresses.maintenance_dsn,
            target=catalogue().target,
            ledger=NoLedger(),
            ledger_file=tmp_path / "ledger.jsonl",
            registry=host.registry,
        )
        told, seen, beyond = "", set[str](), set[tuple[str, str, str]]()
        async with probes:
            stack.enter_context(webhook_metrics(host.registry))
            before: Campaign | None = None
            for event in played(1, operator=spender):
                after = step(before, event).campaign
                host._observe(before, event, after)
                if before is None or before.phase.kind != after.phase.kind:
                    text = await scrape(url)
                    told, seen = told + complaints(text), seen | exposed(text)
                    beyond |= unbounded(text, job="ratchet")
                before = after
    assert (told, beyond) == ("", set())
    assert seen == DOCUMENTED["daemon"]


async def test_the_load_generators(fake_app: FakeApp, generator: Generator) -> None:
    assert fake_app.pid

    def under_load() -> str:
        generator.offer(
            {"behaviour": "reader", "users": 2, "rate_hz": 5.0},
            {"behaviour": "streamer", "users": 1, "rate_hz": 2.0},
        )
        generator.done(5)
        text: str = generator.ask("/metrics", token=None)
        return text

    text = await asyncio.to_thread(under_load)
    assert complaints(text) == ""
    assert unbounded(text, job="loadgen") == set()
    assert exposed(text) == DOCUMENTED["load generator"]


async def test_the_load_generators_masters(short_folder: Path) -> None:
    def alone() -> str:
        place = short_folder / "app.sock"
        with (
            held_port() as port,
            Generator(short_folder, app_socket=place, role="master", master_port=port) as master,
        ):
            text: str = master.ask("/metrics", token=None)
            return text

    text = await asyncio.to_thread(alone)
    assert complaints(text) == ""
    assert unbounded(text, job="loadgen") == set()
    assert exposed(text) == DOCUMENTED["its master"]


async def test_the_target_apps(server: Server) -> None:
    async with serving(server) as app_socket:
        await scrape("http://app/healthz", path=app_socket)
        text = await scrape("http://app/metrics", path=app_socket)
    assert complaints(text) == ""
    assert "http_requests_total" in exposed(text)


async def test_the_tool_would_complain() -> None:
    bad = "# HELP requests Requests.\n# TYPE requests counter\nrequests 1\n"
    assert 'counter metrics should have "_total" suffix' in complaints(bad)
