"""The daemon's HTTP API on loopback: what runs, starting and stopping, events as they happen."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from campaign.errors import RatchetError, UsageError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_OPENAPI = Path(__file__).with_name("openapi.json")
_MUTATING = frozenset({"POST", "PUT", "DELETE", "PATCH"})


class Control(Protocol):
    """What the API can ask of the process that it runs in."""

    async def campaigns(self) -> list[dict[str, Any]]: ...

    async def campaign(self, name: str) -> dict[str, Any]: ...

    async def start(self, order: Mapping[str, Any]) -> str: ...

    async def resume(self, name: str) -> None: ...

    async def stop(self, name: str) -> None: ...

    async def pause(self, name: str) -> None: ...

    async def proceed(self, name: str) -> None: ...

    def events(self, name: str, *, after: int) -> AsyncIterator[tuple[int, dict[str, Any]]]: ...

    async def report(self, name: str) -> Path: ...


def build_api(control: Control, *, registry: CollectorRegistry, token: str) -> web.Application:
    """The whole API; calls that change something need `Authorization: Bearer <token>`."""
    routes = _Routes(control, registry)
    api = web.Application(middlewares=[_errors, _only_with(token)])
    api.add_routes(
        [
            web.get("/healthz", routes.health),
            web.get("/metrics", routes.metrics),
            web.get("/openapi.json", routes.openapi),
            web.get("/api/campaigns", routes.campaigns),
            web.post("/api/campaigns", routes.start),
            web.get("/api/campaigns/{name}", routes.campaign),
            web.get("/api/campaigns/{name}/events", routes.events),
            web.get("/api/campaigns/{name}/report/{file:.*}", routes.report),
            web.post("/api/campaigns/{name}/{action:resume|stop|pause|continue}", routes.act),
        ]
    )
    return api


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Our own errors as JSON with a hint."""
    try:
        return await handler(request)
    except RatchetError as error:
        status = 400 if isinstance(error, UsageError) else 500
        return web.json_response({"error": str(error), "hint": error.hint}, status=status)


def _only_with(token: str) -> Any:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if request.method in _MUTATING and not hmac.compare_digest(given, expected):
            problem = {
                "error": "the token is missing or wrong",
                "hint": "`ratchet serve` prints it",
            }
            return web.json_response(problem, status=401)
        return await handler(request)

    return check


class _Routes:
    def __init__(self, control: Control, registry: CollectorRegistry) -> None:
        self._control = control
        self._registry = registry

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def metrics(self, _request: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi(self, _request: web.Request) -> web.Response:
        return web.json_response(text=_OPENAPI.read_text())

    async def campaigns(self, _request: web.Request) -> web.Response:
        return web.json_response({"campaigns": await self._control.campaigns()})

    async def campaign(self, request: web.Request) -> web.Response:
        return web.json_response(await self._control.campaign(request.match_info["name"]))

    async def start(self, request: web.Request) -> web.Response:
        name = await self._control.start(await _json_object(request))
        return web.json_response({"campaign": name}, status=201)

    async def act(self, request: web.Request) -> web.Response:
        name, action = request.match_info["name"], request.match_info["action"]
        act = {
            "resume": self._control.resume,
            "stop": self._control.stop,
            "pause": self._control.pause,
            "continue": self._control.proceed,
        }[action]
        await act(name)
        return web.json_response({"campaign": name, "done": action})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events; `id` is the journal's sequence number, so that clients can resume."""
        name = request.match_info["name"]
        after = _sequence(request)
        await self._control.campaign(name)
        stream = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await stream.prepare(request)
        async for sequence, event in self._control.events(name, after=after):
            text = json.dumps(event)
            await stream.write(f"id: {sequence}\nevent: {event['kind']}\ndata: {text}\n\n".encode())
        return stream

    async def report(self, request: web.Request) -> web.StreamResponse:
        folder = await self._control.report(request.match_info["name"])
        wanted = (folder / (request.match_info["file"] or "index.html")).resolve()
        if not wanted.is_relative_to(folder.resolve()) or not wanted.is_file():
            raise web.HTTPNotFound(text="there is no such report file")
        return web.FileResponse(wanted)


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise UsageError(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise UsageError("the body must be a JSON object")
    return body


def _sequence(request: web.Request) -> int:
    text = request.query.get("after") or request.headers.get("Last-Event-ID") or "0"
    if not text.isdecimal():
        raise UsageError(f"after={text!r}: expected the sequence number of an event")
    return int(text)
