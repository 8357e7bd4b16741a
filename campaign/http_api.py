"""The daemon's HTTP API on loopback: what runs, starting and stopping, events as they happen."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from campaign.errors import (
    AccessError,
    BusyError,
    MisdirectedError,
    NotFoundError,
    RatchetError,
    UsageError,
)
from campaign.http_access import Handler, guarded
from campaign.http_parts import ServerEvent, json_object, send_events
from campaign.ports import PortError
from campaign.seats import Register, SeatRoutes
from campaign.shell import CampaignOverError

_OPENAPI = Path(__file__).with_name("openapi.json")
_ERROR, _OVER, _FAILED = 400, 409, 500

#: the first that an error is an instance of says its status
_STATUSES: tuple[tuple[type[RatchetError], int], ...] = (
    (AccessError, 401),
    (NotFoundError, 404),
    (BusyError, _OVER),
    (MisdirectedError, 421),
    (UsageError, _ERROR),
    (RatchetError, _FAILED),
)
#: a journal's number of events; SQLite's own numbers end at 19 digits
_SEQUENCE = re.compile(r"[0-9]{1,18}", re.ASCII)


class Control(Protocol):
    """What the API can ask of the process that it runs in; every call may raise RatchetError."""

    async def campaigns(self) -> list[dict[str, Any]]: ...

    async def campaign(self, name: str) -> dict[str, Any]: ...

    async def start(self, order: Mapping[str, Any]) -> str: ...

    async def resume(self, name: str) -> None: ...

    async def stop(self, name: str) -> None: ...

    async def pause(self, name: str) -> None: ...

    async def proceed(self, name: str) -> None: ...

    async def events(
        self, name: str, *, after: int
    ) -> AsyncGenerator[tuple[int, dict[str, Any]], None]: ...

    async def report(self, name: str) -> Path: ...


def build_api(
    control: Control,
    *,
    registry: CollectorRegistry,
    token: str,
    seats: Callable[[], Register | None] = lambda: None,
    names: AbstractSet[str] = frozenset(),
) -> web.Application:
    """The whole API; what tells of a campaign or changes one needs `Authorization: Bearer <token>`.

    Calls to `seats` (None: no campaign yet) have secrets of their own. `names` lead here beside
    those of the loopback.
    """
    routes = _Routes(control, registry)
    seat_routes = SeatRoutes(seats, token=token)
    open_to_others = frozenset(route.handler for route in seat_routes.routes)
    guard = guarded(token, but_for=open_to_others, names=names)
    api = web.Application(middlewares=[_errors, guard])
    api.add_routes(seat_routes.routes)
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
    """Every error as JSON with a hint."""
    try:
        return await handler(request)
    except RatchetError as error:
        status = next(status for kind, status in _STATUSES if isinstance(error, kind))
        return _problem(str(error), error.hint, status=status)
    except CampaignOverError as error:
        return _problem(str(error), "`ratchet resume` takes up one that was stopped", status=_OVER)
    except PortError as error:
        return _problem(error.reason, "see `ratchet doctor`", status=_FAILED)
    except web.HTTPException as error:
        if error.status < _ERROR:
            raise
        allowed = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return _problem(error.reason, "see /openapi.json", status=error.status, headers=allowed)


def _problem(
    error: str, hint: str, *, status: int, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response({"error": error, "hint": hint}, status=status, headers=headers)


class _Routes:
    def __init__(self, control: Control, registry: CollectorRegistry) -> None:
        self._control = control
        self._registry = registry

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "pid": os.getpid()})

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
        name = await self._control.start(await json_object(request))
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
        events = await self._control.events(request.match_info["name"], after=_sequence(request))
        return await send_events(request, _as_sent(events))

    async def report(self, request: web.Request) -> web.StreamResponse:
        folder = await self._control.report(request.match_info["name"])
        wanted = request.match_info["file"] or "index.html"
        found = _file_in(folder, wanted)
        if found is None:
            raise NotFoundError("there is no such file in the report", hint="see index.html")
        return web.FileResponse(found)


def _file_in(folder: Path, name: str) -> Path | None:
    """The file of that name in or below `folder`; None for anything else, links out included."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, ValueError):  # too long, or with a NUL
        return None


async def _as_sent(
    events: AsyncGenerator[tuple[int, dict[str, Any]], None],
) -> AsyncGenerator[ServerEvent, None]:
    async with aclosing(events):
        async for sequence, event in events:
            yield ServerEvent(id=sequence, kind=event["kind"], data=json.dumps(event))


def _sequence(request: web.Request) -> int:
    """A browser that reconnects repeats its first query: what it saw last counts more."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
    if not _SEQUENCE.fullmatch(text):
        raise UsageError(f"after {text!r}: expected the sequence number of an event")
    return int(text)
