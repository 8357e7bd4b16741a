from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from campaign.identity import PROMETHEUS_USER, identity_for
from campaign.stack.errors import BadRulesError, ComponentFailedError
from campaign.stack.places import make_socket_folder
from campaign.stack.programs import find_prometheus
from campaign.stack.prometheus import PrometheusServer, ScrapeJob
from campaign.stack.service import Service
from loadgen.testing import held_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_RULES = """\
groups:
  - name: invariants
    interval: 1s
    rules:
      - record: ratchet:targets_up
        expr: sum(up)
"""

_SPOOF = """\
honest_total 1
ratchet:generator_lag_seconds 9
loadgen_cpu_ratio 9
ALERTS{alertname="InvariantViolated"} 9
"""


@pytest.fixture
def server() -> Iterator[PrometheusServer]:
    folder = make_socket_folder()
    with held_port() as port, held_port() as nobodys:
        yield PrometheusServer(
            programs=find_prometheus(),
            folder=folder / "prometheus",
            port=port,
            identity=identity_for(PROMETHEUS_USER),
            jobs=(
                ScrapeJob(name="prometheus", port=port),
                ScrapeJob(name="absent", port=nobodys),
            ),
        )
    shutil.rmtree(folder)


async def test_it_scrapes_and_judges_rules_each_second(
    server: PrometheusServer, tmp_path: Path
) -> None:
    rules = tmp_path / "invariants.rules.yml"
    rules.write_text(_RULES)
    server = replace(server, rule_files=(rules,))
    await server.configure()
    service = Service(server.service(log_file=tmp_path / "prometheus.log"))
    await service.start()
    try:
        await server.wait_for_samples({"prometheus"}, since=0)
        assert await _ever(server, "up{job='prometheus'}") == ["1"]
        await _wait_for(server, "up{job='absent'} == 0")
        with pytest.raises(ComponentFailedError, match="no sample of absent after"):
            await server.wait_for_samples({"prometheus", "absent"}, since=0, timeout_s=5.0)
        with pytest.raises(ComponentFailedError, match="no sample of prometheus after"):
            await server.wait_for_samples({"prometheus"}, since=time.time() + 60, timeout_s=0.5)
        await _wait_for(server, "ratchet:targets_up == 1")
        await _wait_for(server, "count_over_time(up{job='prometheus'}[4s]) >= 4")
        assert await _reload_status(server) == 403
    finally:
        await service.stop()


async def test_the_app_does_not_speak_in_our_names(
    server: PrometheusServer, tmp_path: Path
) -> None:
    """The same page twice: of the app, and of somebody who is believed."""
    async with _page(_SPOOF) as port:
        jobs = (
            ScrapeJob(name="app", port=port, is_judged=True),
            ScrapeJob(name="believed", port=port),
        )
        server = replace(server, jobs=jobs)
        await server.configure()
        service = Service(server.service(log_file=tmp_path / "prometheus.log"))
        await service.start()
        try:
            await server.wait_for_samples({"app", "believed"}, since=0)
            # A page that was late once has no sample at this moment: what counts is all of them.
            assert await _ever(server, "honest_total{job='app'}") == ["1"]
            for name in ("ratchet:generator_lag_seconds", "loadgen_cpu_ratio", "ALERTS"):
                assert await _ever(server, f"{name}{{job='believed'}}") == ["9"]
                assert await _ever(server, f"{name}{{job='app'}}") == []
        finally:
            await service.stop()


async def test_an_app_that_tells_without_end_is_not_listened_to(
    server: PrometheusServer, tmp_path: Path
) -> None:
    page = "".join(f'honest_total{{n="{n}"}} 1\n' for n in range(5001))
    async with _page(page) as port:
        server = replace(server, jobs=(ScrapeJob(name="app", port=port, is_judged=True),))
        await server.configure()
        service = Service(server.service(log_file=tmp_path / "prometheus.log"))
        await service.start()
        try:
            await _wait_for(server, "up{job='app'} == 0")
            assert await _ever(server, "honest_total") == []
        finally:
            await service.stop()


async def test_rules_that_promtool_refuses_are_named_by_file(
    server: PrometheusServer, tmp_path: Path
) -> None:
    rules = tmp_path / "broken.yml"
    rules.write_text(_RULES.replace("sum(up)", "sum(up"))
    with pytest.raises(BadRulesError, match=r"broken\.yml(.|\n)*unclosed left parenthesis"):
        await replace(server, rule_files=(rules,)).configure()


async def test_a_port_that_is_taken_is_told_from_other_failures(
    server: PrometheusServer, tmp_path: Path
) -> None:
    await server.configure()
    first = Service(server.service(log_file=tmp_path / "first.log"))
    await first.start()
    try:
        other = replace(server, folder=server.folder.with_name("other"))
        await other.configure()
        spec = other.service(log_file=tmp_path / "second.log")
        # The first one's answer must not be taken for the second's.
        second = Service(replace(spec, is_ready=_never))
        with pytest.raises(ComponentFailedError) as caught:
            await second.start()
        assert any("address already in use" in line for line in caught.value.log_tail)
    finally:
        await first.stop()


@asynccontextmanager
async def _page(text: str) -> AsyncIterator[int]:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app, host="127.0.0.1") as exporter:
        assert exporter.port is not None
        yield exporter.port


async def _never() -> bool:
    return False


async def _query(server: PrometheusServer, expression: str) -> list[str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/api/v1/query", params={"query": expression}) as reply,
    ):
        answer = await reply.json()
    return [series["value"][1] for series in answer["data"]["result"]]


async def _ever(server: PrometheusServer, series: str) -> list[str]:
    """Its values, the highest that each has had."""
    return await _query(server, f"max_over_time({series}[1h])")


async def _wait_for(server: PrometheusServer, expression: str) -> None:
    async with asyncio.timeout(60):
        while not await _query(server, expression):  # noqa: ASYNC110 - another process tells
            await asyncio.sleep(0.1)


async def _reload_status(server: PrometheusServer) -> int:
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}/-/reload") as reply:
        return reply.status
