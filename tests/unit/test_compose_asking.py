"""What is made of a service's answer when it is asked since when it runs."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from campaign.stack.compose.asking import HttpService
from campaign.stack.compose.watch import Alive, Refused, Silent

STARTED_AT = 1_763_000_000.123456


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is no service that is silent."""
    monkeypatch.setattr("campaign.stack.compose.asking._TIMEOUT", aiohttp.ClientTimeout(total=60))


async def asked(aiohttp_server: AiohttpServer, answer: Any, *, since: str) -> HttpService:
    async def tell(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/status", tell)
    server = await aiohttp_server(app)
    url = str(server.make_url("")).rstrip("/")
    return HttpService(name="loadgen", url=url, asked="/status", since=since)


async def test_a_start_is_what_the_process_says_whenever_it_is_asked(
    aiohttp_server: AiohttpServer,
) -> None:
    """Reckoned from an age, a slow answer would be that of another process."""
    service = await asked(aiohttp_server, {"started_at": STARTED_AT}, since="started_at")
    assert [await service.look() for _ in range(2)] == [Alive(started_at=STARTED_AT)] * 2


async def test_prometheus_says_it_as_a_time(aiohttp_server: AiohttpServer) -> None:
    answer = {"data": {"startTime": "2025-11-13T02:13:20.5Z"}}
    service = await asked(aiohttp_server, answer, since="startTime")
    assert await service.look() == Alive(started_at=1_763_000_000.5)


@pytest.mark.parametrize("answer", [{}, [], "soon", {"started_at": None}, {"started_at": "soon"}])
async def test_an_answer_that_says_something_else_is_none(
    aiohttp_server: AiohttpServer, answer: Any
) -> None:
    service = await asked(aiohttp_server, answer, since="started_at")
    assert isinstance(await service.look(), Silent)


async def test_nobody_who_listens_is_a_refusal() -> None:
    with socket.socket() as holder:
        # It has the port, so that nobody else can take it, and does not listen.
        holder.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{holder.getsockname()[1]}"
        service = HttpService(name="loadgen", url=url, asked="/")
        assert isinstance(await service.look(), Refused)


async def test_one_that_answers_is_not_there_before_it_is_ready(
    aiohttp_server: AiohttpServer,
) -> None:
    """A master whose workers are not back can be asked, and offers nothing."""
    is_ready = False

    async def tell(_request: web.Request) -> web.Response:
        return web.json_response({"started_at": STARTED_AT})

    async def ready(_request: web.Request) -> web.Response:
        return web.json_response({"ready": is_ready}, status=200 if is_ready else 503)

    app = web.Application()
    app.router.add_get("/status", tell)
    app.router.add_get("/ready", ready)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    master = HttpService(
        name="loadgen", url=url, asked="/status", since="started_at", ready="/ready"
    )
    assert await master.look() == Silent(reason="is not ready")
    is_ready = True
    assert await master.look() == Alive(started_at=STARTED_AT)


async def test_one_that_does_not_say_since_when_it_runs_is_always_the_same(
    aiohttp_server: AiohttpServer,
) -> None:
    service = await asked(aiohttp_server, {"database": "ok"}, since="never")
    assert await service.look() == await service.look() == Alive(started_at=0.0)
