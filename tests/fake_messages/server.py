"""The fake Messages API on a loopback port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from aiohttp import web

from tests.fake_messages.counting import PromptCache
from tests.fake_messages.model import (
    DroppedConnection,
    Hang,
    HttpError,
    Misbehaviour,
    Model,
    Reply,
    StreamError,
)
from tests.fake_messages.validation import Given, InvalidRequestError, check
from tests.fake_messages.wire import Written, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(kw_only=True)
class FakeMessages:
    """The API while it runs."""

    model: Model
    #: such as http://127.0.0.1:40123: for `base_url=` or ANTHROPIC_BASE_URL
    base_url: str = ""
    #: the only key that is let in; None: any
    api_key: str | None = None
    #: tokens of a prompt that is still taken
    context_window: int = 1_000_000
    #: every call of /v1/messages, oldest first, also those that were refused
    requests: list[Recorded] = field(default_factory=list)
    #: what was wrong with those that were refused with 400
    refused: list[str] = field(default_factory=list)
    #: set when a call hangs: nothing more comes of it
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    _cache: PromptCache = field(default_factory=PromptCache)
    _given: Given = field(default_factory=Given)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    #: streams that hang are let go at the end
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    def application(self) -> web.Application:
        routes = web.Application(client_max_size=64 * 2**20)
        routes.router.add_post("/v1/messages", self._messages)
        routes.router.add_post("/v1/messages/count_tokens", self._count_tokens)
        routes.router.add_route("*", "/{path:.*}", self._unknown)
        return routes

    async def stop(self) -> None:
        self._over.set()

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        return self._error(404, "not_found_error", f"no such path: {request.path}")

    async def _count_tokens(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        seen = PromptCache().read({"messages": [], **body})
        return web.json_response({"input_tokens": seen.total_tokens})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        number = next(self._numbers)
        try:
            body = await request.json()
        except json.JSONDecodeError:
            return self._error(400, "invalid_request_error", "the body is not valid JSON")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Recorded(path=request.path_qs, headers=headers, body=body))
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.api_key is not None and key != self.api_key):
            return self._error(401, "authentication_error", "invalid x-api-key")
        try:
            check(body, headers, self._given)
        except InvalidRequestError as wrong:
            self.refused.append(str(wrong))
            return self._error(400, "invalid_request_error", str(wrong))
        prompt = self._cache.read(body)
        if prompt.total_tokens > self.context_window:
            return self._error(
                400,
                "invalid_request_error",
                f"prompt is too long: {prompt.total_tokens} tokens > {self.context_window} maximum",
            )
        said = self.model.answer(prompt.request)
        if isinstance(said, HttpError):
            return self._error(said.status, said.type, said.message, special=said)
        reply = said if isinstance(said, Reply) else said.reply
        answer = written(reply, number=number, model=str(body["model"]), prompt=prompt)
        if isinstance(said, Reply):
            self._given.keep(answer)
        if not body.get("stream"):
            return await self._whole(answer, said)
        return await self._stream(request, answer, said)

    async def _whole(self, answer: Written, said: Reply | Misbehaviour) -> web.StreamResponse:
        if isinstance(said, StreamError):
            return self._error(529, said.type, said.message)
        if isinstance(said, Hang):
            await self._hang()
        return web.json_response(answer.message, headers=self._headers())

    async def _stream(
        self, request: web.Request, answer: Written, said: Reply | Misbehaviour
    ) -> web.StreamResponse:
        if isinstance(said, Hang) and not said.after_events:
            await self._hang()
        if isinstance(said, DroppedConnection) and not said.after_events:
            return _reset(request)
        response = web.StreamResponse(
            headers=self._headers() | {"content-type": "text/event-stream; charset=utf-8"}
        )
        await response.prepare(request)
        limit = None if isinstance(said, (Reply, HttpError)) else said.after_events
        for event in islice(answer.events, limit):
            await response.write(_sse(event["type"], event))
        match said:
            case StreamError():
                fault = {"type": said.type, "message": said.message, "details": None}
                await response.write(_sse("error", {"type": "error", "error": fault}))
            case DroppedConnection():
                return _reset(request, response)
            case Hang():
                await self._hang()
            case _:
                pass
        await response.write_eof()
        return response

    async def _hang(self) -> None:
        self.silent.set()
        await self._over.wait()

    def _headers(self) -> dict[str, str]:
        return {"request-id": f"req_fake{len(self.requests):06d}"}

    def _error(
        self, status: int, kind: str, message: str, *, special: HttpError | None = None
    ) -> web.Response:
        headers = self._headers()
        if special is not None and special.retry_after_s is not None:
            headers["retry-after"] = f"{special.retry_after_s:g}"
        if special is not None and special.body is not None:
            return web.Response(
                status=status, body=special.body, content_type="text/html", headers=headers
            )
        fault = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": headers["request-id"],
        }
        return web.json_response(fault, status=status, headers=headers)


def _sse(name: str, event: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(event)}\n\n".encode()


def _reset(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()


@asynccontextmanager
async def running_fake(
    model: Model,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str | None = None,
    context_window: int = 1_000_000,
) -> AsyncIterator[FakeMessages]:
    """Serve until the block ends; port 0 takes a free one."""
    fake = FakeMessages(model=model, api_key=api_key, context_window=context_window)
    runner = web.AppRunner(fake.application(), handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    chosen = runner.addresses[0][1]
    fake.base_url = f"http://{host}:{chosen}"
    try:
        yield fake
    finally:
        await fake.stop()
        await runner.cleanup()
