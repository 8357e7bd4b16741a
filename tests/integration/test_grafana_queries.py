"""Every query of every dashboard on a real Prometheus, over what our own registries expose."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from campaign.model import Event
from campaign.stack.places import make_socket_folder
from deploy.grafana.generator.looks import PHASE_COLORS
from tests.grafana_kit import (
    DURING_A_SESSION,
    Asked,
    Reader,
    asked_by_panels,
    dashboards,
    every_query,
    panels,
    reading_of,
    variables,
)
from tests.integration.grafana_world import Scraped, journal, scraped

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

_PATIENCE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Played:
    """A campaign that is over, and how Grafana would look back at it."""

    scraped: Scraped
    events: list[Event]
    reader: Reader
    #: by the dashboard's uid, what stands for its variables
    chosen: Mapping[str, Mapping[str, str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played() -> AsyncIterator[Played]:
    # pytest's own folders could not be entered by Prometheus' user.
    folder = make_socket_folder()
    try:
        async with scraped(folder) as world, aiohttp.ClientSession() as session:
            start, events = time.time(), journal()
            await world.play(events)
            end = await settled(world, session)
            reader = Reader(session=session, url=world.server.url, start=start, end=end)
            chosen = {each["uid"]: await reader.chosen(each) for each in dashboards()}
            yield Played(scraped=world, events=events, reader=reader, chosen=chosen)
    finally:
        shutil.rmtree(folder)


async def settled(world: Scraped, session: aiohttp.ClientSession) -> float:
    """A moment with data of everything: no scrape had failed for some seconds.

    Nothing of the time before it is still to come: each exporter has been scraped again since.
    """
    steady = Asked(
        dashboard="",
        panel="steady",
        letter="A",
        promql="min_over_time(up[5s]) == 1",
        newest=True,
    )
    jobs, found = set(world.world.registries), set[str]()
    async with asyncio.timeout(2 * _PATIENCE_S):
        while found != jobs:
            end = time.time()
            await world.server.wait_for_samples(jobs, since=end, timeout_s=_PATIENCE_S)
            reader = Reader(session=session, url=world.server.url, start=end, end=end)
            found = {each.labels["job"] for each in await reader.ask(steady, {})}
    return end


@pytest.mark.parametrize("asked", every_query())
async def test_a_query_finds_data(played: Played, asked: Asked) -> None:
    if asked.name in DURING_A_SESSION:
        asked = replace(asked, newest=False)
    assert await played.reader.ask(asked, played.chosen[asked.dashboard])


@pytest.mark.parametrize(
    ("dashboard", "panel"),
    [
        pytest.param(each, panel, id=f"{each['uid']}: {panel['title']}")
        for each in dashboards()
        for panel in panels(each)
        if "repeat" in panel
    ],
)
async def test_a_repeated_panel_has_data_for_each_value_that_it_is_repeated_for(
    played: Played, dashboard: dict[str, Any], panel: dict[str, Any]
) -> None:
    (variable,) = (each for each in variables(dashboard) if each["name"] == panel["repeat"])
    values = await played.reader.values_of(variable, {})
    assert values
    empty = [
        (value, asked.letter)
        for value in values
        for asked in asked_by_panels({**dashboard, "panels": [panel]})
        if not await played.reader.ask(asked, {variable["name"]: re.escape(value)})
    ]
    assert empty == []


async def test_what_is_shown_is_what_the_journal_says(played: Played) -> None:
    shown, recorded = await reading_of(played.reader), played.events
    ended = played.scraped.world.campaign
    assert ended is not None
    assert shown is not None
    assert shown.phase == ended.phase.kind == list(PHASE_COLORS)[-1]
    assert shown.trial == len(ended.done) == 2
    assert shown.verdicts == {"resolved": 2, "immune": 0, "unresolved": 0, "inconclusive": 0}
    assert shown.tickets == 2
    finished = sum(event.kind == "deployment_finished" for event in recorded)
    assert shown.deployments == {"ok": finished, "failed": 0, "pending": 0}


async def test_panels_go_blank_when_their_exporter_stops(played: Played) -> None:
    """The last test of this module: what it stops stays stopped."""
    registries = played.scraped.world.registries
    for job, registry in registries.items():
        names = {sample.name for family in registry.collect() for sample in family.samples}
        await played.scraped.close(job)
        reading = [
            asked
            for dashboard in dashboards()
            for asked in asked_by_panels(dashboard)
            if asked.metrics & names
        ]
        assert len(reading) > 5
        await blank(played, reading)


async def blank(played: Played, asked: list[Asked]) -> None:
    """Wait until none of them gives anything of the last seconds, and newest values neither."""
    left = asked
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while left:
                now = time.time()
                reader = Reader(
                    session=played.reader.session, url=played.reader.url, start=now - 2, end=now
                )
                left = [
                    each for each in left if await reader.ask(each, played.chosen[each.dashboard])
                ]
    except TimeoutError:
        pytest.fail(f"still there: {[each.name for each in left]}")
