"""What this machine can do: measured at a campaign's start, recorded, and never again judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import aiohttp
import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from campaign.model import Calibration, LoadDimension
from campaign.ports import Load, PortError

#: healthy requests only, about 80 of them
_CANARY = LoadDimension(behaviour="canary", users=8, rate_hz=3.0)
_WARM_UP_S = 1.0
_WATCH_S = 3.5

#: one core's worth of arithmetic in Postgres, and how many a second two connections managed on
#: the machine that the profiles' loads were measured on (2 cores, PostgreSQL 15)
_WORK = "SELECT sum(i) FROM generate_series(1, 100000) AS i"
_REFERENCE_WORK_HZ = 130.0
_WORK_S = 1.0
_CONNECTIONS = 2

#: the rates are never scaled further than this: beyond it the profiles were never measured
_SCALE_RANGE = (0.5, 4.0)
_COMMITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Cumulative counts by upper bound in seconds (`inf` last)."""

    counts: Mapping[float, float]

    def since(self, earlier: Histogram) -> Histogram:
        return Histogram(
            counts={le: count - earlier.counts.get(le, 0.0) for le, count in self.counts.items()}
        )

    def plus(self, other: Histogram) -> Histogram:
        """Of both together; the edges are the same, as they are fixed."""
        bounds = self.counts.keys() | other.counts.keys()
        return Histogram(
            counts={le: self.counts.get(le, 0.0) + other.counts.get(le, 0.0) for le in bounds}
        )

    def quantile(self, q: float) -> float | None:
        """Linear within its bucket, as Prometheus's `histogram_quantile`; None without data.

        `q` lies above 0 and is at most 1. The last bucket has no end: its beginning is given.
        """
        bounds = sorted(self.counts)
        total = self.counts[bounds[-1]] if bounds else 0.0
        if total <= 0:
            return None
        rank = q * total
        for low, high in pairwise([0.0, *bounds]):
            if self.counts[high] >= rank:
                below = self.counts.get(low, 0.0)
                if high == float("inf"):
                    return low
                return low + (high - low) * (rank - below) / (self.counts[high] - below)
        return None


def read_histogram(exposition: str, *, behaviour: str) -> Histogram:
    """One behaviour's request durations from the load generator's /metrics."""
    counts: dict[float, float] = {}
    for family in text_string_to_metric_families(exposition):
        if family.name != "loadgen_request_duration_seconds":
            continue
        for sample in family.samples:
            if sample.name.endswith("_bucket") and sample.labels["behaviour"] == behaviour:
                bound = float(sample.labels["le"])
                counts[bound] = counts.get(bound, 0.0) + sample.value
    return Histogram(counts=counts)


def rate_scale(throughput_ratio: float) -> float:
    """What the rates are multiplied by on a machine this many times as fast."""
    low, high = _SCALE_RANGE
    return min(high, max(low, throughput_ratio))


async def calibrate(load: Load, *, metrics_urls: Sequence[str], dsn: str) -> Calibration:
    """Latency of a healthy request, throughput and commit time, in about six seconds.

    `metrics_urls`: where each load generator tells what its clients saw.

    Raises:
        PortError: the generator offered nothing, or the app or the database answered nothing.
    """
    try:
        throughput_ratio = await _throughput_hz(dsn) / _REFERENCE_WORK_HZ
        commit_s = await _commit_s(dsn)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise PortError("postgres", f"it cannot be calibrated: {error!r}") from error
    healthy_p95_s = await _healthy_p95_s(load, metrics_urls)
    return Calibration(
        healthy_p95_s=healthy_p95_s,
        throughput_ratio=round(throughput_ratio, 3),
        commit_s=commit_s,
        rate_scale=round(rate_scale(throughput_ratio), 2),
    )


async def _healthy_p95_s(load: Load, metrics_urls: Sequence[str]) -> float:
    await load.apply((_CANARY,), load_id="calibration")
    try:
        await asyncio.sleep(_WARM_UP_S)
        before = await _scrape_all(metrics_urls)
        await asyncio.sleep(_WATCH_S)
        p95 = (await _scrape_all(metrics_urls)).since(before).quantile(0.95)
    finally:
        await load.apply((), load_id="calibration-end")
    if p95 is None:
        raise PortError("loadgen", "no canary request was answered during the calibration")
    return round(p95, 5)


async def _scrape_all(urls: Sequence[str]) -> Histogram:
    total = Histogram(counts={})
    for scraped in await asyncio.gather(*(_scrape(url) for url in urls)):
        total = total.plus(scraped)
    return total


async def _scrape(url: str) -> Histogram:
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            answer.raise_for_status()
            return read_histogram(await answer.text(), behaviour=_CANARY.behaviour)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PortError("loadgen", f"its metrics cannot be read: {error!r}") from error


async def _throughput_hz(dsn: str) -> float:
    """Statements a second on as many connections as the reference machine has cores."""

    async def work() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            ends_at = time.monotonic() + _WORK_S
            done = 0
            while time.monotonic() < ends_at:
                await connection.fetchval(_WORK)
                done += 1
            return done
        finally:
            await connection.close()

    return sum(await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))) / _WORK_S


async def _commit_s(dsn: str) -> float:
    """The mean of a few small commits in the harness's own schema."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS ratchet")
        await connection.execute("CREATE TABLE IF NOT EXISTS ratchet.commit_probe (n int)")
        began = time.perf_counter()
        for number in range(_COMMITS):
            await connection.execute("INSERT INTO ratchet.commit_probe VALUES ($1)", number)
        took = (time.perf_counter() - began) / _COMMITS
        await connection.execute("DROP TABLE ratchet.commit_probe")
    finally:
        await connection.close()
    return round(took, 6)
