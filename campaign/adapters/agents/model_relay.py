"""The way from an agent's sandbox to its model's API, and nowhere else: adds the key outside."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import aiohttp
from aiohttp import web
from operators.command import ApiAnswer, ModelApi

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
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "x-api-key",
        "x-goog-api-key",
    }
)
_NOT_HANDED_IN = frozenset({"content-length", "set-cookie"})
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRelay:
    """One agent's way; calls that the adapter does not name are refused."""

    api: ModelApi
    base_url: str
    key: str
    may_not_call: Callable[[], str]
    answered: Callable[[ApiAnswer], None]
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_CALLS))

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
                return await self._relay(session, request)

        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        async with session:
            await runner.setup()
            try:
                await web.SockSite(runner, listener).start()
                yield
            finally:
                await runner.cleanup()

    async def _relay(
        self, session: aiohttp.ClientSession, request: web.Request
    ) -> web.StreamResponse:
        if not self._allowed(request):
            return _refusal(403, "permission_error", f"{request.method} {request.path} is not open")
        if reason := self.may_not_call():
            return _refusal(403, "permission_error", reason)
        body = await request.read()
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

    async def _answer(
        self, request: web.Request, upstream: aiohttp.ClientResponse, began: float
    ) -> web.StreamResponse:
        if upstream.status >= _FIRST_ERROR:
            return await self._error(upstream, began)
        response = web.StreamResponse(status=upstream.status, headers=_handed_in(upstream))
        await response.prepare(request)
        usage = UsageReader(streamed="event-stream" in upstream.headers.get("content-type", ""))
        broken = ""
        try:
            async for chunk in upstream.content.iter_any():
                usage.feed(chunk)
                await response.write(chunk)
            await response.write_eof()
        except (aiohttp.ClientPayloadError, TimeoutError) as error:
            broken = f"the answer broke off: {type(error).__name__}"
        finally:
            # also when the agent has gone away: what was begun is paid for
            usage.close()
            self.answered(self._seen(upstream.status, usage, broken, time.monotonic() - began))
        if broken and request.transport is not None:
            request.transport.abort()
        return response

    def _seen(self, status: int, usage: UsageReader, broken: str, latency_s: float) -> ApiAnswer:
        if usage.error_status is not None:
            status = usage.error_status
        elif broken:
            status = 0
        counted = self.api.counts == "anthropic"
        return ApiAnswer(
            status=status,
            message=usage.message if counted else "",
            model=usage.model if counted else "",
            tokens=usage.tokens if counted else None,
            latency_s=latency_s,
            stop_reason=usage.stop_reason if counted else "",
            error=self._redacted(usage.error or broken),
        )

    async def _error(self, upstream: aiohttp.ClientResponse, began: float) -> web.Response:
        """An error is short, and read whole: it must not repeat the key."""
        body = await upstream.content.read(_MAX_ERROR_BYTES)
        body = body.replace(self.key.encode(), b"[key]")
        usage = UsageReader(streamed=False)
        usage.feed(body)
        usage.close()
        words = usage.error or body[:500].decode(errors="replace")
        latency_s = time.monotonic() - began
        self.answered(ApiAnswer(status=upstream.status, latency_s=latency_s, error=words))
        return web.Response(status=upstream.status, headers=_handed_in(upstream), body=body)

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


def _handed_in(upstream: aiohttp.ClientResponse) -> Mapping[str, str]:
    named = {name.strip().lower() for name in upstream.headers.get("connection", "").split(",")}
    dropped = _HOP_BY_HOP | _NOT_HANDED_IN | named
    return {name: value for name, value in upstream.headers.items() if name.lower() not in dropped}


def _refusal(status: int, kind: str, message: str) -> web.Response:
    """In the form of the Messages API; other clients show it as it is."""
    return web.json_response(
        {"type": "error", "error": {"type": kind, "message": message}}, status=status
    )
