"""The campaign's client on a master's routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from campaign.adapters import loadgen as adapter
from campaign.adapters.loadgen import LoadgenClient
from campaign.ports import ComponentChange


class FakeMaster:
    """Says of its workers what it is made to say."""

    def __init__(self) -> None:
        self.id = "first"
        self.changes: list[dict[str, Any]] = []
        self.workers: list[dict[str, Any]] | None = []
        self.asked: list[int] = []
        self.broken = False

    def lost(self, worker: str, *, covered: bool) -> None:
        self._add(worker, kind="lost", covered=covered)

    def joined(self, worker: str) -> None:
        self._add(worker, kind="joined", covered=True)

    def start_again(self) -> None:
        self.id, self.changes = "second", []

    def _add(self, worker: str, **change: Any) -> None:
        seq = len(self.changes) + 1
        told = {"seq": seq, "at": 1.0, "worker": worker, "reason": f"{worker} #{seq}", **change}
        self.changes.append(told)

    async def status(self, _request: web.Request) -> web.Response:
        status: dict[str, Any] = {
            "load_id": None,
            "dimensions": [],
            "users": 0,
            "started_at": 1.0,
            "pid": 1,
        }
        if self.workers is not None:
            status |= {"expected_workers": 2, "workers": self.workers}
        return web.json_response(status)

    async def get_changes(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=500)
        after = int(request.query["after"])
        self.asked.append(after)
        changes = [change for change in self.changes if change["seq"] > after]
        return web.json_response({"master": self.id, "changes": changes})


@pytest.fixture
async def master() -> FakeMaster:
    return FakeMaster()


@pytest.fixture
async def client(
    master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LoadgenClient]:
    monkeypatch.setattr(adapter, "_LOOK_S", 0.01)
    app = web.Application()
    app.router.add_get("/ratchet/status", master.status)
    app.router.add_get("/ratchet/changes", master.get_changes)
    async with (
        TestServer(app) as server,
        LoadgenClient(str(server.make_url("/")), token="t") as client,  # noqa: S106 - the fake's
    ):
        yield client


def down(reason: str, *, covered: bool) -> ComponentChange:
    return ComponentChange(component="loadgen", up=False, reason=reason, covered=covered)


async def test_each_loss_is_told_once_and_named(master: FakeMaster, client: LoadgenClient) -> None:
    changes = client.worker_changes()
    master.lost("w1", covered=True)
    assert await anext(changes) == down("w1 #1", covered=True)
    master.lost("w2", covered=False)
    assert await anext(changes) == down("w2 #2", covered=False)


async def test_one_that_joins_brings_back_only_what_was_down(
    master: FakeMaster, client: LoadgenClient
) -> None:
    changes = client.worker_changes()
    master.lost("w1", covered=True)
    master.joined("w1")
    master.lost("w2", covered=False)
    master.joined("w2")
    told = [await anext(changes) for _ in range(3)]
    assert told == [
        down("w1 #1", covered=True),
        down("w2 #3", covered=False),
        ComponentChange(component="loadgen", up=True),
    ]


async def test_a_master_that_was_started_again_counts_from_the_beginning(
    master: FakeMaster, client: LoadgenClient
) -> None:
    changes = client.worker_changes()
    master.lost("w1", covered=True)
    await anext(changes)
    master.start_again()
    master.lost("w2", covered=True)
    assert await anext(changes) == down("w2 #1", covered=True)


async def test_a_master_that_cannot_be_asked_is_asked_again(
    master: FakeMaster, client: LoadgenClient
) -> None:
    changes = client.worker_changes()
    master.lost("w1", covered=True)
    master.broken = True
    waiting = asyncio.ensure_future(anext(changes))
    await client.status()
    master.broken = False
    assert await waiting == down("w1 #1", covered=True)


async def test_a_single_process_has_no_workers_to_lose(
    master: FakeMaster, client: LoadgenClient
) -> None:
    master.workers = None
    assert [change async for change in client.worker_changes()] == []
    assert master.asked == []


async def test_metrics_are_scraped_from_each_worker(
    master: FakeMaster, client: LoadgenClient
) -> None:
    about = {"state": "playing", "users": 1, "lag_s": 0.0, "cpu_ratio": 0.0, "silent_s": 0.0}
    master.workers = [{"name": name, "metrics": f"{name}:9646", **about} for name in ("a", "b")]
    assert await client.metrics_urls() == ("http://a:9646/metrics", "http://b:9646/metrics")
    master.workers = None
    (own,) = await client.metrics_urls()
    assert own.endswith("/metrics")
