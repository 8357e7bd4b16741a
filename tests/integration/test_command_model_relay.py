"""The way from an agent's sandbox to its model's API: what goes through, and what does not."""

from __future__ import annotations

import asyncio
import gzip
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
from loadgen.testing import held_port

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
    heard: asyncio.Event | None = None
    noted: list[str] = field(default_factory=list)
    #: what `may_not_call` says
    closed: str = ""

    def hearing(self, heard: asyncio.Event) -> None:
        """Set it with the next answer."""
        self.heard = heard

    def hear(self, answer: ApiAnswer) -> None:
        self.answered.append(answer)
        if self.heard is not None:
            self.heard.set()

    def post(self, path: str = "/v1/messages", **more: Any) -> Any:
        return self.client.post(f"http://relay{path}", **({"json": {"stream": True}} | more))


@asynccontextmanager
async def listening(handler: Handler | None) -> AsyncIterator[int]:
    """The port of an API that `handler` answers as; None: nobody listens there."""
    if handler is None:
        with held_port() as port:
            yield port
        return
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def relayed(tmp_path: Path, handler: Handler | None) -> AsyncIterator[Way]:
    """`handler` answers as the API; None: nobody does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "model.sock"))
    listener.listen()
    connector = aiohttp.UnixConnector(str(tmp_path / "model.sock"))
    async with (
        listening(handler) as port,
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as client,
    ):
        way = Way(client=client)
        relay = ModelRelay(
            api=API,
            base_url=f"http://127.0.0.1:{port}/gateway/",
            key=KEY,
            may_not_call=lambda: way.closed,
            answered=way.hear,
            noted=way.noted.append,
        )
        async with relay.serve(listener):
            yield way


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


@pytest.mark.parametrize("headers_first", [True, False])
async def test_an_agent_that_goes_away_pays_for_the_whole_answer(
    tmp_path: Path, *, headers_first: bool
) -> None:
    """To hang up before the end, where the tokens are told, would be a way to work for nothing."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def api(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        if headers_first:
            await response.prepare(request)
            await response.write(sse(START))
        asked.set()
        await go_on.wait()
        if not headers_first:
            await response.prepare(request)
            await response.write(sse(START))
        for _ in range(100):
            await response.write(sse({"type": "ping"}))
            await asyncio.sleep(0)
        await response.write(sse(END, STOP))
        return response

    async with relayed(tmp_path, api) as way:
        heard = asyncio.Event()
        way.hearing(heard)
        calling = asyncio.create_task(read(way, first_only=headers_first))
        await asyncio.wait_for(asked.wait(), 60)
        if not headers_first:
            calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        go_on.set()
        await asyncio.wait_for(heard.wait(), 60)
    (seen,) = way.answered
    assert (seen.tokens, seen.is_turn) == (WHOLE, True)


async def read(way: Way, *, first_only: bool) -> None:
    async with way.post() as answer:
        await answer.content.readuntil(b"\n\n")
        if first_only:
            answer.close()


async def test_a_call_that_the_end_of_the_session_cuts_off_is_counted_by_what_was_written(
    tmp_path: Path,
) -> None:
    delta = {"type": "text_delta", "text": "x" * 400}
    written = {"type": "content_block_delta", "index": 0, "delta": delta}

    async def api(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse(START, written))
        await asyncio.Event().wait()
        return response

    async with relayed(tmp_path, api) as way, way.post() as answer:
        while b"delta" not in await answer.content.readuntil(b"\n\n"):
            pass
    (seen,) = way.answered
    assert seen.tokens is not None
    assert (seen.tokens.input, 100 <= seen.tokens.output <= 110, seen.is_turn) == (10, True, False)
    assert way.noted == ["a call of the model was under way when the session ended"]


async def test_only_whole_answers_of_the_model_are_turns(tmp_path: Path) -> None:
    usage = {"input_tokens": 3, "output_tokens": 4}
    answers: dict[str, dict[str, Any]] = {
        "/v1/messages": {"type": "message", "id": "m9", "model": "m", "usage": usage},
        "/v1/messages/count_tokens": {"input_tokens": 7},
    }

    async def api(request: web.Request) -> web.StreamResponse:
        return web.json_response(answers[request.path.removeprefix("/gateway")])

    async with relayed(tmp_path, api) as way:
        for path in answers:
            async with way.post(path) as answer:
                await answer.read()
    assert [(seen.is_turn, seen.tokens is None) for seen in way.answered] == [
        (True, False),
        (False, True),
    ]


async def test_a_request_that_would_have_the_provider_reach_out_is_not_let_through(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    async def api(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response({})

    tools = [{"type": "web_fetch_20250910", "name": "web_fetch"}]
    async with relayed(tmp_path, api) as way, way.post(json={"tools": tools}) as answer:
        assert answer.status == 403
        assert "web_fetch_20250910" in await answer.text()
    assert (asked, way.answered) == ([], [])
    assert "not let through" in way.noted[0]


async def test_a_packed_request_is_looked_into(tmp_path: Path) -> None:
    seen: list[tuple[str | None, bytes]] = []

    async def api(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers.get("content-encoding"), await request.read()))
        return web.json_response({})

    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    bad = gzip.compress(json.dumps({"mcp_servers": [{"url": "https://evil.test"}]}).encode())
    good = gzip.compress(b'{"messages": []}')
    async with relayed(tmp_path, api) as way:
        async with way.client.post("http://relay/v1/messages", data=bad, headers=headers) as answer:
            assert answer.status == 403
        async with way.client.post(
            "http://relay/v1/messages", data=good, headers=headers
        ) as answer:
            assert answer.status == 200
    assert seen == [(None, b'{"messages": []}')]


async def test_a_key_in_an_error_that_comes_in_pieces_is_taken_out_of_it(tmp_path: Path) -> None:
    async def api(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=400)
        await response.prepare(request)
        for piece in ("x" * 100, KEY[:9], KEY[9:], "y" * (64 << 10)):
            await response.write(piece.encode())
            await asyncio.sleep(0.01)
        return response

    async with relayed(tmp_path, api) as way, way.post() as answer:
        text = await answer.text()
    assert text.startswith("x" * 100 + "[key]yyy")
    assert len(text) == 64 << 10
    assert KEY not in way.answered[0].error


async def test_a_key_that_the_cut_of_an_error_would_halve_is_taken_out_whole(
    tmp_path: Path,
) -> None:
    async def api(_: web.Request) -> web.StreamResponse:
        return web.Response(status=400, text="x" * ((64 << 10) - 5) + KEY + "y" * 100)

    async with relayed(tmp_path, api) as way, way.post() as answer:
        text = await answer.text()
    assert text.endswith("x[key]")


async def test_an_error_that_is_packed_is_not_handed_in(tmp_path: Path) -> None:
    async def api(_: web.Request) -> web.StreamResponse:
        body = gzip.compress(f"the key {KEY}".encode())
        return web.Response(status=400, body=body, headers={"content-encoding": "gzip"})

    async with relayed(tmp_path, api) as way, way.post() as answer:
        assert answer.status == 400
        assert await answer.read() == b"an error that is packed, which was not asked for"


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    asked: list[str] = []

    async def api(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with relayed(tmp_path, api) as way, way.post(allow_redirects=False) as answer:
        assert answer.status == 307
    assert asked == ["/gateway/v1/messages"]
