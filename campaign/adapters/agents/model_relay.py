"""The way from an agent's sandbox to its model's API, and nowhere else: adds the key outside."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import aiohttp
from aiohttp import web
from operators.command import ApiAnswer, ModelApi

from campaign.adapters.agents.requests import way_out
from campaign.adapters.agents.usage import UsageReader

#: larger than what any of the providers takes
_MAX_REQUEST_BYTES = 32 << 20
#: calls at once: an agent that makes more of them waits
_MAX_CALLS = 8
_MAX_ERROR_BYTES = 64 << 10
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=900)

#: of one connection, not of the message (RFC 9110, 7.6.1)
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: what an agent must not decide; a compressed answer could not be counted
_OURS = frozenset(
    {
        "accept-encoding",
        "api-key",
        "authorization",
        # a packed body was unpacked when it was looked at
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "x-api-key",
        "x-goog-api-key",
    }
)
#: an error may become shorter, and is handed in unpacked
_NOT_HANDED_IN = frozenset({"content-length", "set-cookie"})
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRelay:
    """One agent's way; calls that the adapter does not name are refused."""

    api: ModelApi
    base_url: str
    key: str = field(repr=False)
    may_not_call: Callable[[], str]
    answered: Callable[[ApiAnswer], None]
    noted: Callable[[str], None]
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_CALLS))
    #: an agent that goes away does not end them: what it asked for is paid for, and counted
    _under_way: set[asyncio.Task[web.StreamResponse]] = field(default_factory=set)

    @asynccontextmanager
    async def serve(self, listener: socket.socket) -> AsyncIterator[None]:
        """Answer at `listener`, which listens already, while the block lasts."""
        session = aiohttp.ClientSession(
            timeout=_TIMEOUT,
            auto_decompress=False,
            trust_env=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)

        async def handle(request: web.Request) -> web.StreamResponse:
            async with self._calls:
                call = asyncio.create_task(self._relay(session, request), name="model-call")
                self._under_way.add(call)
                call.add_done_callback(self._under_way.discard)
                return await call

        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(
            app, handler_cancellation=False, access_log=None, shutdown_timeout=0.1
        )
        async with session:
            await runner.setup()
            try:
                await web.SockSite(runner, listener).start()
                yield
            finally:
                await self._end()
                await runner.cleanup()

    async def _end(self) -> None:
        for call in self._under_way:
            call.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _relay(
        self, session: aiohttp.ClientSession, request: web.Request
    ) -> web.StreamResponse:
        if not self._allowed(request):
            return self._refused(f"{request.method} {request.path} is not open")
        try:
            body = await request.read()
        except ConnectionError:
            return _refusal(400, "invalid_request_error", "the request broke off")
        if reason := way_out(body) if request.method == "POST" else "":
            return self._refused(reason)
        # Asked last: while the request came in, others may have spent what was left.
        if reason := self.may_not_call():
            return self._refused(reason)
        began = time.monotonic()
        try:
            async with session.request(
                request.method,
                self.base_url.rstrip("/") + request.rel_url.raw_path_qs,
                data=body or None,
                headers=self._headers(request),
                allow_redirects=False,
            ) as upstream:
                return await self._answer(request, upstream, began)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            problem = self._redacted(f"{type(error).__name__}: {error}")
            self.answered(ApiAnswer(status=0, latency_s=time.monotonic() - began, error=problem))
            return _refusal(502, "api_error", "the model's API cannot be reached")
        except asyncio.CancelledError:
            self.noted("a call of the model was under way when the session ended")
            raise

    def _refused(self, reason: str) -> web.Response:
        self.noted(f"a call of the model was not let through: {reason}")
        return _refusal(403, "permission_error", reason)

    async def _answer(
        self, request: web.Request, upstream: aiohttp.ClientResponse, began: float
    ) -> web.StreamResponse:
        if upstream.status >= _FIRST_ERROR:
            return await self._error(upstream, began)
        outlet = _Outlet(request, upstream)
        usage = UsageReader(streamed="event-stream" in upstream.headers.get("content-type", ""))
        broken, ended = "", False
        try:
            await outlet.begin()
            async for chunk in upstream.content.iter_any():
                usage.feed(chunk)
                await outlet.write(chunk)
            ended = True
        except (aiohttp.ClientPayloadError, TimeoutError) as error:
            broken = f"the answer broke off: {type(error).__name__}"
        finally:
            usage.close()
            latency_s = time.monotonic() - began
            asked = request.method == "POST" and ended
            seen = self._seen(upstream.status, usage, broken, latency_s, asked=asked)
            self.answered(seen)
        await outlet.end(whole=not broken)
        return outlet.response

    def _seen(
        self, status: int, usage: UsageReader, broken: str, latency_s: float, *, asked: bool
    ) -> ApiAnswer:
        """`asked`: the model was, and the answer came to its end."""
        if usage.error_status is not None:
            status = usage.error_status
        elif broken:
            status = 0
        whole = usage.complete or not usage.message
        good = asked and whole and not usage.error
        if self.api.counts != "anthropic":
            return ApiAnswer(
                status=status,
                is_turn=good,
                latency_s=latency_s,
                error=self._redacted(usage.error or broken),
            )
        return ApiAnswer(
            status=status,
            message=usage.message,
            model=usage.model,
            is_turn=good and not usage.is_a_count,
            tokens=usage.tokens,
            latency_s=latency_s,
            stop_reason=usage.stop_reason,
            error=self._redacted(usage.error or broken),
        )

    async def _error(self, upstream: aiohttp.ClientResponse, began: float) -> web.Response:
        """An error is short, and read whole: it must not repeat the key."""
        body = await self._short(upstream)
        usage = UsageReader(streamed=False)
        usage.feed(body)
        usage.close()
        words = usage.error or body[:500].decode(errors="replace")
        latency_s = time.monotonic() - began
        self.answered(ApiAnswer(status=upstream.status, latency_s=latency_s, error=words))
        return web.Response(status=upstream.status, headers=_handed_in(upstream), body=body)

    async def _short(self, upstream: aiohttp.ClientResponse) -> bytes:
        """The beginning of the answer without the key, however it is cut into pieces."""
        if upstream.headers.get("content-encoding", "identity") != "identity":
            return b"an error that is packed, which was not asked for"
        # A key that the cut would halve is read whole.
        limit = _MAX_ERROR_BYTES + len(self.key.encode())
        body = bytearray()
        while len(body) < limit and (chunk := await upstream.content.readany()):
            body += chunk
        return bytes(body[:limit]).replace(self.key.encode(), b"[key]")[:_MAX_ERROR_BYTES]

    def _allowed(self, request: web.Request) -> bool:
        path = request.rel_url.raw_path
        if ".." in path or "//" in path or "%2" in path.lower() or "%5c" in path.lower():
            return False
        call = f"{request.method} {path}"
        return any(fnmatchcase(call, pattern) for pattern in self.api.allow)

    def _headers(self, request: web.Request) -> Mapping[str, str]:
        named = {name.strip().lower() for name in request.headers.get("connection", "").split(",")}
        dropped = _HOP_BY_HOP | _OURS | named | {self.api.header.lower()}
        kept = {
            name: value for name, value in request.headers.items() if name.lower() not in dropped
        }
        return kept | {
            "Accept-Encoding": "identity",
            self.api.header: f"{self.api.prefix}{self.key}",
        }

    def _redacted(self, text: str) -> str:
        return text.replace(self.key, "[key]")


class _Outlet:
    """The way of an answer to the agent; an agent that has left is written to no more."""

    def __init__(self, request: web.Request, upstream: aiohttp.ClientResponse) -> None:
        self._request = request
        self.response = web.StreamResponse(status=upstream.status, headers=_handed_in(upstream))
        self._left = False

    async def begin(self) -> None:
        with self._leaving():
            await self.response.prepare(self._request)

    async def write(self, chunk: bytes) -> None:
        if not self._left:
            with self._leaving():
                await self.response.write(chunk)

    async def end(self, *, whole: bool) -> None:
        """What broke off breaks off for the agent too."""
        if whole and not self._left:
            with self._leaving():
                await self.response.write_eof()
        elif self._request.transport is not None:
            self._request.transport.abort()

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError:
            self._left = True


def _handed_in(upstream: aiohttp.ClientResponse) -> Mapping[str, str]:
    named = {name.strip().lower() for name in upstream.headers.get("connection", "").split(",")}
    dropped = _HOP_BY_HOP | _NOT_HANDED_IN | named
    return {name: value for name, value in upstream.headers.items() if name.lower() not in dropped}


def _refusal(status: int, kind: str, message: str) -> web.Response:
    """In the form of the Messages API; other clients show it as it is."""
    return web.json_response(
        {"type": "error", "error": {"type": kind, "message": message}}, status=status
    )
