"""The dashboards over a campaign that is being played right now, wherever that is.

    RATCHET_PROMETHEUS=http://127.0.0.1:9090 RATCHET_RUN=runs/<campaign> \
        .venv/bin/pytest tests/acceptance/test_grafana_panels.py

It looks and changes nothing, so that it puts no load on anything. A campaign of which one trial was
resolved can answer everything. For the last test, stop an exporter first (`docker compose stop
edge`, or end the process) and wait for fifteen seconds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from campaign.adapters.journal import open_reader
from campaign.machine import Campaign, fold
from campaign.runs import RunFolder
from reports.view import trials
from tests.grafana_kit import (
    DURING_A_SESSION,
    Asked,
    Reader,
    Shown,
    asked_by_panels,
    dashboards,
    every_query,
    metric_names,
    reading_of,
)

PROMETHEUS, RUN = os.environ.get("RATCHET_PROMETHEUS"), os.environ.get("RATCHET_RUN")

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not (PROMETHEUS and RUN),
        reason="RATCHET_PROMETHEUS and RATCHET_RUN say where a campaign is being played",
    ),
]

_PATIENCE_S = 60.0
#: a series of an exporter that stopped is gone at once, a rate with the window that it is over
_STOPPED_FOR_S = 15
#: what a campaign may have nothing of, and when; a blank panel of anything else is a fault
MAY_BE_SILENT: Mapping[str, str] = {
    "ALERTS": "nothing has been violated",
    "loadgen_acknowledged_writes_total": "nobody has written anything",
    "loadgen_first_byte_seconds_bucket": "no stream was asked for",
    "loadgen_master_lost_workers_total": "one process plays all of the load",
    "loadgen_master_workers": "one process plays all of the load",
    "ratchet_campaign_spent_dollars": "nobody counts what the operator costs",
    "ratchet_campaign_spent_tokens": "nobody counts what the operator costs",
    "ratchet_operator_tool_calls_total": "the operator calls no tools",
    "ratchet_operator_tool_duration_seconds_bucket": "the operator calls no tools",
    "ratchet_session_spent_dollars": "nobody counts what the operator costs",
    "ratchet_session_spent_tokens": "nobody counts what the operator costs",
    "ratchet_session_spent_turns": "the trial at hand has had no session",
    "ratchet_webhook_backlog": "there is no webhook",
    "ratchet_webhook_deliveries_total": "there is no webhook",
    "ratchet_webhook_failures_total": "there is no webhook",
}


@dataclass(frozen=True, kw_only=True)
class Live:
    """A campaign, and how Grafana would show all of it so far."""

    run: RunFolder
    reader: Reader
    #: by the dashboard's uid
    chosen: Mapping[str, Mapping[str, str]]
    #: the jobs whose exporters somebody stopped
    stopped: frozenset[str]


async def campaign_of(run: RunFolder) -> Campaign:
    async with open_reader(run.journal) as journal:
        campaign = fold(await journal.read())
    assert campaign is not None, f"{run.path} holds no campaign"
    return campaign


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live() -> AsyncIterator[Live]:
    run = RunFolder(path=Path(str(RUN)))
    campaign = await campaign_of(run)
    if not any(each.verdict and each.deployments for each in campaign.done):
        pytest.skip("no trial with a deployment has ended yet: come back when one has")
    async with aiohttp.ClientSession() as session:
        reader = until_now(session, trials(campaign)[0].started_at)
        stopped = frozenset(await reader.stopped(for_s=_STOPPED_FOR_S))
        chosen = {each["uid"]: await reader.chosen(each) for each in dashboards()}
        try:
            async with asyncio.timeout(_PATIENCE_S):
                # A scrape that was missed leaves a gap, in which no newest value is.
                while await reader.stopped(for_s=2) != stopped:
                    reader = until_now(session, reader.start)
        except TimeoutError:
            pytest.fail("on this busy machine Prometheus misses scrapes all the time")
        yield Live(run=run, reader=reader, chosen=chosen, stopped=stopped)


def until_now(session: aiohttp.ClientSession, start: float) -> Reader:
    now = time.time()
    return Reader(
        session=session,
        url=str(PROMETHEUS),
        start=start,
        end=now,
        # Prometheus gives no more than 11 000 points of a series.
        step_s=int((now - start) / 10_000) + 1,
    )


@pytest.fixture
def whole(live: Live) -> Live:
    """With every exporter there."""
    if live.stopped:
        pytest.skip(f"{', '.join(live.stopped)}: stopped, so that only what is blank is looked at")
    return live


async def silent(live: Live, metric: str) -> bool:
    """In the whole time it had no series, or was nothing but zero."""
    asked = Asked(
        dashboard="",
        panel=metric,
        letter="A",
        promql=f"max(max_over_time({metric}[$__range])) > 0",
        newest=True,
    )
    return not await live.reader.ask(asked, {})


@pytest.mark.parametrize("asked", every_query())
async def test_a_query_finds_data(whole: Live, asked: Asked) -> None:
    if asked.name in DURING_A_SESSION:
        asked = replace(asked, newest=False)
    if await whole.reader.ask(asked, whole.chosen[asked.dashboard]):
        return
    reasons = [
        MAY_BE_SILENT[metric]
        for metric in sorted(asked.metrics & MAY_BE_SILENT.keys())
        if await silent(whole, metric)
    ]
    if not reasons:
        pytest.fail(f"nothing came of {asked.promql}")
    pytest.skip(reasons[0])


async def test_the_campaigns_panels_show_what_its_journal_says(whole: Live) -> None:
    """Both move on; within a while they are caught saying the same."""
    recorded = shown = None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while recorded is None or shown != recorded:
                recorded = recorded_in(await campaign_of(whole.run))
                now = time.time()
                shown = await reading_of(
                    Reader(
                        session=whole.reader.session,
                        url=whole.reader.url,
                        start=now - 60,
                        end=now,
                    )
                )
    except TimeoutError:
        assert shown == recorded


def recorded_in(campaign: Campaign) -> Shown:
    records = trials(campaign)
    verdicts = Counter(each.verdict.kind for each in records if each.verdict)
    ends = Counter(each.ok for record in records for each in record.deployments)
    return Shown(
        phase=campaign.phase.kind,
        trial=campaign.trial.index + 1,
        verdicts={
            kind: verdicts.get(kind, 0)
            for kind in ("immune", "resolved", "unresolved", "inconclusive")
        },
        tickets=sum(each.ticket is not None for each in records),
        deployments={"ok": ends[True], "failed": ends[False], "pending": ends[None]},
    )


async def test_the_times_of_verdicts_are_those_of_the_journal(whole: Live) -> None:
    marks = Asked(
        dashboard="",
        panel="ends",
        letter="A",
        promql="ratchet_trial_ended_timestamp_seconds",
        newest=True,
    )
    shown = {
        (each.labels["trial"], each.labels["verdict"]): each.values[0]
        for each in await whole.reader.ask(marks, {})
    }
    assert shown
    recorded = {
        (str(each.index + 1), str(each.verdict.kind)): each.ended_at
        for each in trials(await campaign_of(whole.run))
        if each.verdict is not None
    }
    assert {key: recorded.get(key) for key in shown} == pytest.approx(shown)


async def test_panels_of_an_exporter_that_stopped_are_blank(live: Live) -> None:
    if not live.stopped:
        pytest.skip("every exporter is there: stop one, and come back in fifteen seconds")
    now = time.time()
    reader = Reader(session=live.reader.session, url=live.reader.url, start=now - 2, end=now)
    silenced = {
        metric
        for dashboard in dashboards()
        for asked in asked_by_panels(dashboard)
        for metric in metric_names(asked.promql)
        if await jobs_of(live.reader, metric) & live.stopped
    }
    reading = [
        asked
        for dashboard in dashboards()
        for asked in asked_by_panels(dashboard)
        if asked.metrics & silenced
    ]
    assert reading
    found = [each.name for each in reading if await reader.ask(each, live.chosen[each.dashboard])]
    assert found == []


async def jobs_of(reader: Reader, metric: str) -> set[str]:
    """Where it came from, in the whole time; nowhere: a rule, or Prometheus itself."""
    if metric in {"up", "ALERTS"}:
        return set()
    asked = Asked(
        dashboard="",
        panel="jobs",
        letter="A",
        promql=f"count by (job) (count_over_time({metric}[$__range]))",
        newest=True,
    )
    return {job for each in await reader.ask(asked, {}) if (job := each.labels.get("job"))}
