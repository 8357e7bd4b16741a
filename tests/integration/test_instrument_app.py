"""HTTP to a small app on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from operators import ToolError
from operators.toolbox.instruments import AppRequest

from campaign.adapters.instruments import app as module
from campaign.adapters.instruments.app import SHOWN_BYTES, AppOverSocket


async def _echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": dict(request.headers),
            "body": await request.text(),
        },
        status=201,
        headers={"X-Kept": "yes", "Set-Cookie": "a=1"},
    )


async def _elsewhere(_request: web.Request) -> web.Response:
    raise web.HTTPFound("http://192.0.2.1/secret")


async def _large(request: web.Request) -> web.Response:
    return web.Response(body=b"x" * int(request.query["size"]))


async def _stream(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    with suppress(ConnectionError):
        await reply.write(b"data: one\n\n")
        if "forever" in request.query:
            await asyncio.Event().wait()
        if "flood" in request.query:
            while True:
                await reply.write(b"y" * 65536)
        await reply.write(b"data: two\n\n")
    return reply


async def _never(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[AppOverSocket]:
    service = web.Application()
    service.router.add_route("*", "/echo", _echo)
    service.router.add_get("/elsewhere", _elsewhere)
    service.router.add_get("/large", _large)
    service.router.add_get("/stream", _stream)
    service.router.add_get("/never", _never)
    runner = web.AppRunner(service, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "app.sock")).start()
    yield AppOverSocket(tmp_path / "app.sock")
    await runner.cleanup()


async def test_a_request_reaches_the_app_as_it_was_written(app: AppOverSocket) -> None:
    answer = await app.request(
        AppRequest(
            method="post", path="/echo?a=%20b&c", headers={"X-User-Id": "7"}, body='{"é": 1}'
        )
    )
    assert (answer.status, answer.headers["X-Kept"]) == (201, "yes")
    assert '"method": "POST", "path": "/echo?a=%20b&c"' in answer.body
    assert '"X-User-Id": "7"' in answer.body
    assert answer.size_bytes == len(answer.body.encode())
    again = await app.request(AppRequest(method="GET", path="/echo"))
    assert "Cookie" not in again.body


async def test_a_redirect_is_an_answer_and_not_followed(app: AppOverSocket) -> None:
    answer = await app.request(AppRequest(method="GET", path="/elsewhere"))
    assert (answer.status, answer.headers["Location"]) == (302, "http://192.0.2.1/secret")


async def test_a_long_body_is_cut_and_its_length_told(app: AppOverSocket) -> None:
    answer = await app.request(AppRequest(method="GET", path="/large?size=3000000"))
    assert answer.size_bytes == 3_000_000
    assert answer.body.endswith(f"\n[cut after {SHOWN_BYTES} of 3000000 bytes]")
    assert len(answer.body) < SHOWN_BYTES + 100


async def test_a_stream_is_read_until_it_ends_or_the_time_does(
    app: AppOverSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await app.request(AppRequest(method="GET", path="/stream"))
    assert whole.body == "data: one\n\ndata: two\n\n"
    with monkeypatch.context() as patched:
        _the_time_is_over_once_it_has_read(b"data: one\n\n", patched)
        part = await app.request(AppRequest(method="GET", path="/stream?forever", timeout_s=30))
    assert part.status == 200
    assert part.body == "data: one\n\n\n[it had not ended when the time was over]"
    flood = await app.request(AppRequest(method="GET", path="/stream?flood", timeout_s=30))
    assert "not read to its end" in flood.body
    assert len(flood.body) < SHOWN_BYTES + 200


def _the_time_is_over_once_it_has_read(piece: bytes, patched: pytest.MonkeyPatch) -> None:
    """However long the app took to send it."""
    loop = asyncio.get_running_loop()
    now = loop.time

    class Read(module._Body):
        def add(self, chunk: bytes) -> None:
            super().add(chunk)
            if self.shown == piece:
                patched.setattr(loop, "time", lambda: now() + 30)

    patched.setattr(module, "_Body", Read)


async def test_no_answer_and_no_app_are_said_plainly(app: AppOverSocket, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"no answer in 0\.2 s"):
        await app.request(AppRequest(method="GET", path="/never", timeout_s=0.2))
    gone = AppOverSocket(tmp_path / "gone.sock")
    with pytest.raises(ToolError, match="takes no connections") as told:
        await gone.request(AppRequest(method="GET", path="/"))
    assert str(tmp_path) not in str(told.value)


async def test_an_app_that_talks_nonsense_is_said_to(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"this is not HTTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "odd.sock")
    try:
        with pytest.raises(ToolError, match="no proper answer"):
            await AppOverSocket(tmp_path / "odd.sock").request(AppRequest(method="GET", path="/"))
    finally:
        server.close()


@pytest.mark.parametrize(
    "path",
    [
        *("http://192.0.2.1/", "//192.0.2.1/", "echo", "", "/a b", "/a\r\nX: y", "/a#b", "/é"),
        *("/\0", "/a\nb", "*", "/" + "a" * 10_000),
    ],
)
async def test_what_is_no_path_is_refused(app: AppOverSocket, path: str) -> None:
    with pytest.raises(ToolError, match="path"):
        await app.request(AppRequest(method="GET", path=path))


@pytest.mark.parametrize("method", ["GET /x HTTP/1.1\r\nX:", "", "CONNECT", "G T", "GET\n"])
async def test_what_is_no_method_is_refused(app: AppOverSocket, method: str) -> None:
    with pytest.raises(ToolError, match="method"):
        await app.request(AppRequest(method=method, path="/echo"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("Host", "other"), ("connection", "keep-alive"), ("Transfer-Encoding", "chunked")),
        *(("Content-Length", "5"), ("Upgrade", "websocket"), ("X Y", "1"), ("X:Y", "1")),
        *(("X", "a\r\nHost: b"), ("X", "a\0"), ("X\n", "1"), ("X", "€"), ("X", "a\n")),
    ],
)
async def test_what_is_no_header_of_the_callers_is_refused(
    app: AppOverSocket, name: str, value: str
) -> None:
    with pytest.raises(ToolError, match="header"):
        await app.request(AppRequest(method="GET", path="/echo", headers={name: value}))
