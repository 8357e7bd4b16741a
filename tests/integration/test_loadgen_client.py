"""The client on the generator's routes, as its contract has them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from campaign.adapters import loadgen as adapter
from campaign.adapters.loadgen import LedgerRestartedError, LoadgenClient
from campaign.model import LoadDimension
from campaign.ports import PortError

READERS = LoadDimension(behaviour="reader", users=20, rate_hz=1.5, params={"users": [1, 20]})


class FakeGenerator:
    """Keeps what it was told; `answers` come before its own, first to last."""

    def __init__(self) -> None:
        self.load: dict[str, Any] = {"id": None, "dimensions": []}
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[str] = []
        self.server: BaseTestServer

    def status(self) -> dict[str, Any]:
        return {
            "load_id": self.load["id"],
            "dimensions": self.load["dimensions"],
            "users": sum(dimension["users"] for dimension in self.load["dimensions"]),
            "started_at": 3.5,
            "pid": 7,
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        if request.headers.get("Authorization") != "Bearer secret":
            return web.json_response({"errors": ["the control token is wrong"]}, status=401)
        if self.answers:
            status, document = self.answers.pop(0)
            if document is None:  # hang up
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return web.json_response(document, status=status)
        if request.method == "PUT":
            self.load = await request.json()
        return web.json_response(self.status())


@pytest.fixture
async def generator() -> AsyncIterator[FakeGenerator]:
    fake = FakeGenerator()
    app = web.Application()
    app.router.add_route("*", "/ratchet/{route}", fake.answer)
    async with TestServer(app) as server:
        fake.server = server
        yield fake


@pytest.fixture
async def client(
    generator: FakeGenerator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LoadgenClient]:
    monkeypatch.setattr(adapter, "_PAUSES_S", (0.0, 0.0))
    url = str(generator.server.make_url("/"))
    async with LoadgenClient(url, token="secret") as client:  # noqa: S106 - the fake's
        yield client


async def test_the_whole_load_is_put(generator: FakeGenerator, client: LoadgenClient) -> None:
    await client.apply((READERS,), load_id="t1-full")
    assert generator.load == {
        "id": "t1-full",
        "dimensions": [
            {
                "behaviour": "reader",
                "users": 20,
                "rate_hz": 1.5,
                "arrival": "staggered",
                "params": {"users": [1, 20]},
            }
        ],
    }
    status = await client.status()
    assert (status.load_id, status.users, status.pid) == ("t1-full", 20, 7)


async def test_silence_is_a_load(generator: FakeGenerator, client: LoadgenClient) -> None:
    await client.apply((), load_id="t1-heal")
    assert generator.load == {"id": "t1-heal", "dimensions": []}


async def test_a_refused_load_says_why(generator: FakeGenerator, client: LoadgenClient) -> None:
    generator.answers = [(400, {"errors": ["dimensions.0.users: too many", "and more"]})]
    with pytest.raises(PortError, match=r"refused with 400: .*too many; and more") as caught:
        await client.apply((READERS,), load_id="t1-full")
    assert caught.value.component == "loadgen"
    assert len(generator.asked) == 1


async def test_a_wrong_token_says_so(generator: FakeGenerator) -> None:
    url = str(generator.server.make_url("/"))
    async with LoadgenClient(url, token="wrong") as client:  # noqa: S106 - the fake's
        with pytest.raises(PortError, match="refused with 401: the control token is wrong"):
            await client.status()


async def test_a_connection_that_breaks_is_tried_again(
    generator: FakeGenerator, client: LoadgenClient
) -> None:
    generator.answers = [(0, None), (0, None)]
    await client.apply((READERS,), load_id="t1-full")
    assert generator.load["id"] == "t1-full"
    assert len(generator.asked) == 3


async def test_a_generator_that_is_not_there_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_PAUSES_S", (0.0, 0.0))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with LoadgenClient(url, token="any") as client:  # noqa: S106 - nobody reads it
            with pytest.raises(PortError, match="cannot be reached"):
                await client.apply((READERS,), load_id="t1-full")


async def test_a_load_that_was_not_taken_is_a_fault(
    generator: FakeGenerator, client: LoadgenClient
) -> None:
    generator.answers = [(200, {**generator.status(), "load_id": "t0"})]
    with pytest.raises(PortError, match="offers 't0' after it was told 't1-full'"):
        await client.apply((READERS,), load_id="t1-full")


@pytest.mark.parametrize("document", [7, {"load_id": 3}, {"users": "many"}])
async def test_any_other_answer_is_a_fault(
    generator: FakeGenerator, client: LoadgenClient, document: object
) -> None:
    generator.answers = [(200, document)]
    with pytest.raises(PortError, match="answered 200 with"):
        await client.status()


async def test_the_ledger_is_read_in_pages(generator: FakeGenerator, client: LoadgenClient) -> None:
    entry = {
        "seq": 8,
        "user_id": 1,
        "conversation_id": 2,
        "message_id": 3,
        "tokens": 4,
        "kind": "stream",
        "asked_at": 5.0,
        "acked_at": 5.5,
    }
    generator.answers = [(200, {"entries": [entry], "last": 8, "dropped": 0})]
    page = await client.ledger(after=7, limit=10)
    assert generator.asked == ["GET /ratchet/ledger?after=7&limit=10"]
    assert (page.last, page.entries[0].message_id, page.entries[0].acked_at) == (8, 3, 5.5)


async def test_a_restarted_generator_is_told_apart(
    generator: FakeGenerator, client: LoadgenClient
) -> None:
    generator.answers = [(409, {"errors": ["after=7 is beyond the newest entry 0"]})]
    with pytest.raises(LedgerRestartedError, match="beyond the newest entry"):
        await client.ledger(after=7)
