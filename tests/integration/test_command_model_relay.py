"""The way from an agent's sandbox to its model's API: what goes through, and what does not."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from operators.command import ApiAnswer, ModelApi, Tokens

from campaign.adapters.agents.model_relay import ModelRelay

KEY = "sk-ant-very-secret-key-000"
API = ModelApi(
    base_url="https://unused.test",
    key="ANTHROPIC_API_KEY",
    header="x-api-key",
    allow=("POST /v1/messages", "POST /v1/messages/count_tokens", "POST /v1beta/models/*"),
    counts="anthropic",
)
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "m",
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 6,
            "cache_creation": {"ephemeral_1h_input_tokens": 2},
            "output_tokens": 1,
        },
    },
}
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 50},
}
STOP = {"type": "message_stop"}
WHOLE = Tokens(input=10, output=50, cache_read=4, cache_creation_5m=4, cache_creation_1h=2)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


@dataclass(kw_only=True)
class Way:
    """A relay between a client at a Unix socket and an API."""

    client: aiohttp.ClientSession
    answered: list[ApiAnswer] = field(default_factory=list)
    #: what `may_not_call` says
    closed: str = ""

    def post(self, path: str = "/v1/messages", **more: Any) -> Any:
        return self.client.post(f"http://relay{path}", **({"json": {"stream": True}} | more))


@asynccontextmanager
async def relayed(tmp_path: Path, handler: Handler | None) -> AsyncIterator[Way]:
    """`handler` answers as the API; None: nobody does."""
    app = web.Application()
    if handler is not None:
        app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    if handler is None:
        await runner.cleanup()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "model.sock"))
    listener.listen()
    connector = aiohttp.UnixConnector(str(tmp_path / "model.sock"))
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as client:
        way = Way(client=client)
        relay = ModelRelay(
            api=API,
            base_url=f"http://127.0.0.1:{port}/gateway/",
            key=KEY,
            may_not_call=lambda: way.closed,
            answered=way.answered.append,
        )
        async with relay.serve(listener):
            yield way
    await runner.cleanup()


async def test_a_stream_comes_through_piece_by_piece_and_is_counted(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def api(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse(START))
        await go_on.wait()
        rest = sse(END, STOP)
        for number in range(0, len(rest), 7):  # cut anywhere
            await response.write(rest[number : number + 7])
        return response

    async with relayed(tmp_path, api) as way, way.post() as answer:
        first = await answer.content.readuntil(b"\n\n")
        assert b"message_start" in first
        assert way.answered == []
        go_on.set()
        rest = await answer.read()
    assert first + rest == sse(START, END, STOP)
    (seen,) = way.answered
    assert (seen.status, seen.message, seen.model) == (200, "msg_1", "m")
    assert (seen.tokens, seen.stop_reason) == (WHOLE, "end_turn")


async def test_the_key_is_added_outside_and_nothing_the_agent_sets_replaces_it(
    tmp_path: Path,
) -> None:
    seen: list[web.Request] = []

    async def api(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        body = await request.json()
        return web.json_response(body, headers={"Set-Cookie": "a=b", "request-id": "r1"})

    headers = {
        "x-api-key": "placeholder",
        "Authorization": "Bearer mine",
        "Cookie": "c=d",
        "Host": "evil.test",
        "Connection": "x-hop",
        "X-Hop": "1",
        "Proxy-Authorization": "x",
        "anthropic-version": "2023-06-01",
    }
    async with (
        relayed(tmp_path, api) as way,
        way.post("/v1/messages?beta=true", headers=headers) as a,
    ):
        assert await a.json() == {"stream": True}
        assert a.headers["request-id"] == "r1"
        assert "Set-Cookie" not in a.headers
    (request,) = seen
    assert request.path_qs == "/gateway/v1/messages?beta=true"
    assert request.headers["x-api-key"] == KEY
    assert request.headers["Host"].startswith("127.0.0.1:")
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert not {"Authorization", "Cookie", "X-Hop", "Proxy-Authorization"} & set(request.headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("POST", "/v1/files"),
        ("DELETE", "/v1/messages"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1beta/models/../../v1/files"),
        ("POST", "/v1beta/models/%2e%2e/%2e%2e/v1/files"),
        ("POST", "/v1beta/models/x%2f..%2f..%2fv1/files"),
        ("POST", "//v1/messages"),
        ("POST", "http://evil.test/v1/messages"),
    ],
)
async def test_only_what_the_adapter_names_goes_through(
    tmp_path: Path, method: str, path: str
) -> None:
    asked: list[str] = []

    async def api(request: web.Request) -> web.StreamResponse:
        asked.append(request.raw_path)
        return web.Response()

    async with relayed(tmp_path, api):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "model.sock")
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = (await reader.read()).decode()
        writer.close()
    if path.startswith("http://"):  # a proxy's form: only the path of it is looked at
        assert asked in ([], ["/gateway/v1/messages"])
    else:
        assert "HTTP/1.1 403" in answer
        assert asked == []


async def test_no_call_is_made_once_it_may_not_be(tmp_path: Path) -> None:
    asked: list[str] = []

    async def api(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response()

    async with relayed(tmp_path, api) as way:
        way.closed = "1 US dollar is spent"
        async with way.post() as answer:
            assert answer.status == 403
            assert "1 US dollar is spent" in await answer.text()
    assert (asked, way.answered) == ([], [])


async def test_an_error_is_handed_on_without_the_key_and_told(tmp_path: Path) -> None:
    async def api(_: web.Request) -> web.StreamResponse:
        error = {"type": "rate_limit_error", "message": f"too many of {KEY}"}
        return web.json_response(
            {"type": "error", "error": error}, status=429, headers={"retry-after": "3600"}
        )

    async with relayed(tmp_path, api) as way, way.post() as answer:
        assert (answer.status, answer.headers["retry-after"]) == (429, "3600")
        text = await answer.text()
        assert KEY not in text
    (seen,) = way.answered
    assert (seen.status, seen.error, seen.tokens) == (429, "too many of [key]", None)


async def test_an_error_in_the_middle_of_a_stream_has_the_status_it_stands_for(
    tmp_path: Path,
) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    async def api(_: web.Request) -> web.StreamResponse:
        return web.Response(body=sse(START, error), content_type="text/event-stream")

    async with relayed(tmp_path, api) as way, way.post() as answer:
        assert await answer.read() == sse(START, error)
    (seen,) = way.answered
    assert (seen.status, seen.error) == (529, "Overloaded")


async def test_a_connection_that_breaks_breaks_for_the_agent_too(tmp_path: Path) -> None:
    async def api(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse(START))
        assert request.transport is not None
        request.transport.abort()
        return response

    async with relayed(tmp_path, api) as way:
        with pytest.raises(aiohttp.ClientError):
            async with way.post() as answer:
                await answer.read()
    (seen,) = way.answered
    assert (seen.status, seen.message) == (0, "msg_1")


async def test_an_api_that_cannot_be_reached_is_told_as_such(tmp_path: Path) -> None:
    async with relayed(tmp_path, None) as way, way.post() as answer:
        assert answer.status == 502
    (seen,) = way.answered
    assert seen.status == 0
    assert seen.error


async def test_an_answer_that_is_not_streamed_is_counted_too(tmp_path: Path) -> None:
    async def api(_: web.Request) -> web.StreamResponse:
        usage = {"input_tokens": 3, "output_tokens": 4}
        return web.json_response(
            {"type": "message", "id": "m9", "model": "m", "stop_reason": "end_turn", "usage": usage}
        )

    async with relayed(tmp_path, api) as way, way.post() as answer:
        await answer.read()
    (seen,) = way.answered
    assert (seen.message, seen.tokens) == ("m9", Tokens(input=3, output=4))


async def test_an_agent_that_goes_away_ends_the_call_and_what_it_used_is_counted(
    tmp_path: Path,
) -> None:
    left = asyncio.Event()

    async def api(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse(START))
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    async with relayed(tmp_path, api) as way:
        async with way.post() as answer:
            await answer.content.readuntil(b"\n\n")
            answer.close()
        await asyncio.wait_for(left.wait(), 10)
    (seen,) = way.answered
    assert seen.tokens == Tokens(
        input=10, output=1, cache_read=4, cache_creation_5m=4, cache_creation_1h=2
    )


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    asked: list[str] = []

    async def api(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with relayed(tmp_path, api) as way, way.post(allow_redirects=False) as answer:
        assert answer.status == 307
    assert asked == ["/gateway/v1/messages"]
