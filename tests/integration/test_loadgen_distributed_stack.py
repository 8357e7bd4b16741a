"""The local stack with a master and two workers: scraped, killed, and judged meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import asyncpg
import pytest

from campaign.adapters.loadgen import LoadgenClient
from campaign.adapters.prometheus import PrometheusClient
from campaign.model import LoadDimension, Status, Timings, judge
from campaign.ports import PortError
from campaign.stack import (
    ComponentDown,
    ComponentUp,
    LoadDivision,
    LoadgenSettings,
    LocalStack,
    LocalStackConfig,
    SupervisorSettings,
    TemplateRecipe,
)
from campaign.stack.places import make_socket_folder
from campaign.stack.record import read_record
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue, rules_yaml
from loadgen import messages

pytestmark = pytest.mark.alone

#: nothing is deployed, so every request is an error, which is as good a reading as any
LOAD = (LoadDimension(behaviour="canary", users=6, rate_hz=3.0),)
INVARIANT = next(
    each
    for each in calibrated(load_catalogue(PROFILES_ROOT / "chat_db_app").invariants, 0.005)
    if each.id == "error_rate"
)
PATIENCE_S = 60.0
#: more than a busy machine's own lag, less than a worker is silent before its place is another's
_STARVED_S = messages.PATIENCE_S / 5


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place that the components' users can reach, unlike pytest's own folders."""
    place = make_socket_folder()
    yield place
    shutil.rmtree(place)


async def fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE notes AS SELECT 1 AS id")
    await connection.close()


@pytest.fixture
async def stack(folder: Path) -> AsyncIterator[LocalStack]:
    rules = folder / "rules.yaml"
    rules.write_text(rules_yaml([INVARIANT], Timings()))
    config = LocalStackConfig(
        run_dir=folder / "run",
        database=TemplateRecipe(key="notes", populate=fill),
        loadgen=LoadgenSettings(clients="loadgen.chat_db_app", division=LoadDivision(workers=2)),
        supervisor=SupervisorSettings(
            wheels_dir=folder / "wheels", environments_dir=folder / "environments"
        ),
        rule_files=(rules,),
        cache_dir=folder / "cache",
    )
    async with LocalStack(config) as running:
        yield running


class Judge:
    """Reads and judges the one invariant."""

    def __init__(self, metrics: PrometheusClient) -> None:
        self._metrics = metrics

    async def status(self) -> Status | None:
        """None: Prometheus has too much to do to answer."""
        try:
            seen = await self._metrics.observe()
        except PortError:
            return None
        sample = next(iter(seen.samples), None)
        starved = seen.generator is None or seen.generator.lag_s > _STARVED_S
        reading = judge(INVARIANT, sample, at=time.time(), freshness_s=5.0, starved=starved)
        return reading.status

    async def until(self, what: str, holds: Callable[[Status], bool]) -> None:
        status = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (status := await self.status()) is None or not holds(status):  # noqa: ASYNC110 - Prometheus calls nobody
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"{what}: at last it is {status}")


async def users(load: LoadgenClient) -> list[int]:
    """Of each worker that plays."""
    workers = (await load.status()).workers
    return [worker.users for worker in workers if worker.state == "playing"]


async def test_a_worker_is_killed_and_everybody_knows(stack: LocalStack, folder: Path) -> None:
    where = stack.addresses
    async with (
        LoadgenClient(where.loadgen_url, token=where.loadgen_token) as load,
        PrometheusClient(where.prometheus_url) as metrics,
        aclosing(load.worker_changes()) as losses,
    ):
        assert len(await load.metrics_urls()) == 2
        await load.apply(LOAD, load_id="full")
        status = await load.status()
        assert [worker.state for worker in status.workers] == ["playing", "playing"]
        assert [worker.users for worker in status.workers] == [3, 3]
        judged = Judge(metrics)
        await judged.until("it is judged", lambda now: now is Status.VIOLATED)
        pids = {entry.name: entry.pid for entry in read_record(folder / "run").processes}
        lost = asyncio.ensure_future(anext(losses))
        os.kill(pids["loadgen-worker-1"], signal.SIGKILL)
        await judged.until("there is no reading", lambda now: now is Status.UNKNOWN)
        change = await asyncio.wait_for(lost, PATIENCE_S)
        assert change.component == "loadgen"
        assert change.covered, change.reason
        assert "loadgen-worker-1" in change.reason
        await judged.until("it is judged again", lambda now: now is Status.VIOLATED)
        events = aiter(stack.events())
        first, second = [await asyncio.wait_for(anext(events), PATIENCE_S) for _ in range(2)]
        assert isinstance(first, ComponentDown)
        assert (first.name, first.reason) == ("loadgen-worker-1", "was killed by SIGKILL")
        assert second == ComponentUp(name="loadgen-worker-1")
        # It is up before its master has heard of it.
        async with asyncio.timeout(PATIENCE_S):
            while await users(load) != [3, 3]:  # noqa: ASYNC110 - nor does the master
                await asyncio.sleep(0.1)
