"""What a campaign makes of a load that is divided: options, ports, and workers that are lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from campaign.adapters.calibration import Histogram
from campaign.cli.load_options import TOKEN_VARIABLE, LoadArguments
from campaign.errors import UsageError
from campaign.merging import merged
from campaign.model import ComponentDown, Resolved
from campaign.ports import ComponentChange
from campaign.stack import LoadDivision, Ports
from campaign.stack.network import choose_ports
from campaign.stack.prometheus import ScrapeJob, configuration
from campaign.testing import play
from tests.shell_kit import Stage


def test_a_loss_that_is_covered_is_on_record_and_no_fault() -> None:
    lost = ComponentChange(
        component="loadgen", up=False, reason="w1 was silent for 3.0 s", covered=True
    )

    async def story() -> Stage:
        stage = Stage()
        run = stage.start()
        await stage.until("repairing")
        stage.stack.comings_and_goings.put_nowait(lost)
        await run
        return stage

    stage = play(story())
    (event,) = stage.recorded(ComponentDown)
    assert (event.component, event.reason, event.covered) == (lost.component, lost.reason, True)
    assert stage.shell.campaign is not None
    assert isinstance(stage.shell.campaign.done[0].verdict, Resolved)


async def counted(*items: int) -> AsyncIterator[int]:
    for item in items:
        yield item
        await asyncio.sleep(0)


async def forever() -> AsyncIterator[int]:
    yield 0
    await asyncio.Event().wait()


async def broken() -> AsyncIterator[int]:
    yield 7
    raise RuntimeError("it broke")


async def test_merged_iterators_end_with_the_first() -> None:
    assert sorted([item async for item in merged(counted(1, 2, 3), forever())]) == [0, 1, 2, 3]


async def test_one_that_ends_early_ends_only_itself() -> None:
    assert sorted([item async for item in merged(counted(1, 2, 3), counted(9))]) == [1, 2, 3, 9]


async def test_an_error_of_any_is_raised() -> None:
    with pytest.raises(RuntimeError, match="it broke"):
        [item async for item in merged(forever(), broken())]


async def test_who_stops_listening_leaves_nothing_running() -> None:
    before = asyncio.all_tasks()
    iterator = merged(forever(), forever())
    assert await anext(iterator) == 0
    await iterator.aclose()
    assert asyncio.all_tasks() == before


def test_one_process_is_the_default() -> None:
    assert not LoadArguments().is_given
    assert LoadArguments().division == LoadDivision()
    assert not LoadDivision().is_divided


def test_workers_here_need_nothing_else() -> None:
    arguments = LoadArguments(load_workers=2)
    assert arguments.is_given
    assert (arguments.division.expected, arguments.division.is_divided) == (2, True)


def test_workers_elsewhere_need_an_address_and_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    arguments = LoadArguments(load_workers=1, load_others=2, load_listen="10.0.0.5:5557")
    division = arguments.division
    assert (division.host, division.port, division.expected) == ("10.0.0.5", 5557, 3)
    assert division.token == "secret"  # noqa: S105 - the test's
    assert "secret" not in repr(division)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (LoadArguments(load_others=1), "where would they find us"),
        (LoadArguments(load_listen="h:1"), "there are none"),
        (LoadArguments(load_others=1, load_listen="nowhere"), "not HOST:PORT"),
        (LoadArguments(load_others=1, load_listen="h:0"), "not HOST:PORT"),
    ],
)
def test_what_does_not_fit_together_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, arguments: LoadArguments, problem: str
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    with pytest.raises(UsageError, match=problem):
        arguments.require_usable()


def test_without_a_token_nobody_from_elsewhere_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=TOKEN_VARIABLE):
        LoadArguments(load_others=1, load_listen="h:5557").require_usable()


def test_a_divided_load_has_ports_of_its_own() -> None:
    chosen = choose_ports(Ports(load_workers=2, has_load_master=True))
    ports = {chosen.prometheus, chosen.loadgen, chosen.app, chosen.load_master}
    assert len(ports | set(chosen.load_workers)) == 6
    alone = choose_ports(Ports())
    assert (alone.load_workers, alone.load_master) == ((), None)


def test_ports_of_workers_can_be_chosen_again() -> None:
    fixed = Ports(prometheus=1, loadgen=2, app=3)
    assert not fixed.any_free
    assert Ports(prometheus=1, loadgen=2, app=3, load_workers=1).any_free
    assert Ports(prometheus=1, loadgen=2, app=3, has_load_master=True).any_free
    assert not Ports(prometheus=1, loadgen=2, app=3, has_load_master=True, load_master=4).any_free


def test_prometheus_asks_the_master_where_the_workers_are() -> None:
    jobs = (
        ScrapeJob(name="loadgen", port=8089, discovery="/targets"),
        ScrapeJob(name="loadgen-master", port=8089),
    )
    told: Any = configuration(jobs, ())
    workers, master = told["scrape_configs"]
    assert workers["http_sd_configs"] == [
        {"url": "http://127.0.0.1:8089/targets", "refresh_interval": "1s"}
    ]
    assert "static_configs" not in workers
    assert master["static_configs"] == [{"targets": ["127.0.0.1:8089"]}]


def test_a_percentile_is_of_all_histograms_together() -> None:
    """Nine quick ones here and one slow one there: the p95 is the slow one's, not half of it."""
    quick = Histogram(counts={0.005: 9.0, 1.0: 9.0, math.inf: 9.0})
    slow = Histogram(counts={0.005: 0.0, 1.0: 1.0, math.inf: 1.0})
    both = quick.plus(slow).quantile(0.95)
    assert both is not None
    assert both > 0.4
    assert quick.plus(Histogram(counts={})) == quick
