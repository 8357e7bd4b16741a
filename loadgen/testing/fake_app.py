"""A chat app without a database that does as it is told: slow, hung, failing, talking nonsense.

``python -m loadgen.testing.fake_app PATH [PORT]`` listens on a Unix socket at PATH, replacing what
is there in one step, and on a TCP port of the loopback if one is given. It answers the operations
of chat-db-app; ``POST /_fake`` changes its mood and ``GET /_fake`` says what it has seen.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

_BACKLOG = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Mood:
    """How requests under /api are treated."""

    #: seconds before each answer
    delay_s: float = 0.0
    #: no answer at all until the mood changes
    hang: bool = False
    #: status of every answer, instead of the right one
    status: int | None = None
    #: body of every answer, instead of the right one
    body: str | None = None
    #: a stream stops after its tokens, without the last event
    cut_streams: bool = False


@dataclass(kw_only=True, slots=True)
class Memory:
    """What the fake has seen and stored."""

    mood: Mood = field(default_factory=Mood)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    #: for each request under /api: the monotonic clock, which all processes share
    arrivals: list[float] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    messages: list[dict[str, int]] = field(default_factory=list)
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def store(self, *, user_id: int, content: str) -> dict[str, int]:
        tokens = max(1, len(content) // 4)
        message = {"id": next(self.ids), "user_id": user_id, "tokens": tokens}
        self.messages.append(message)
        return message


_MEMORY = web.AppKey("memory", Memory)


@web.middleware
async def _moody(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.path.startswith("/api"):
        return await handler(request)
    memory = request.app[_MEMORY]
    memory.arrivals.append(time.monotonic())
    memory.paths.append(request.path_qs)
    while memory.mood.hang:
        await memory.changed.wait()
    mood = memory.mood
    await asyncio.sleep(mood.delay_s)
    if mood.status is not None or mood.body is not None:
        return web.Response(status=mood.status or 200, text=mood.body or "{}")
    return await handler(request)


def _user_id(request: web.Request) -> int:
    return int(request.headers["X-User-Id"])


async def _list(request: web.Request) -> web.Response:
    key = request.path.rsplit("/", 1)[-1]
    name = {"search": "results", "stats": "days"}.get(key, key)
    return web.json_response({name: [{"id": 1}]})


async def _one(request: web.Request) -> web.Response:
    return web.json_response({"id": int(request.match_info["id"])})


async def _unread(_request: web.Request) -> web.Response:
    return web.json_response({"unread": 1})


async def _done(_request: web.Request) -> web.Response:
    return web.json_response({"sent": 1, "marked": 1, "deleted": 1})


async def _poll(request: web.Request) -> web.Response:
    """One notification, ever: the first poll gets it at once, the next ones wait in vain."""
    if int(request.query["since"]) >= 1:
        await asyncio.sleep(float(request.query["timeout"]))
        return web.json_response({"notifications": [], "unread": 0})
    return web.json_response({"notifications": [{"id": 1}], "unread": 1})


async def _create_message(request: web.Request) -> web.Response:
    content = (await request.json())["content"]
    message = request.app[_MEMORY].store(user_id=_user_id(request), content=content)
    document = {
        "id": message["id"],
        "conversation_id": int(request.match_info["id"]),
        "token_count": message["tokens"],
    }
    return web.json_response(document, status=201)


async def _stream(request: web.Request) -> web.StreamResponse:
    memory, asked = request.app[_MEMORY], await request.json()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    question = memory.store(user_id=_user_id(request), content=asked["content"])
    words = ["word "] * asked["tokens"]
    for word in words:
        await asyncio.sleep(0.005)
        await response.write(_event("token", word))
    answer = memory.store(user_id=_user_id(request), content="".join(words).strip())
    if not memory.mood.cut_streams:
        turn = {"user_message_id": question["id"], "assistant_message_id": answer["id"]}
        turn["token_count"] = question["tokens"] + answer["tokens"]
        await response.write(_event("done", turn))
    return response


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def _set_mood(request: web.Request) -> web.Response:
    memory = request.app[_MEMORY]
    memory.mood = replace(Mood(), **await request.json())
    memory.changed.set()
    memory.changed = asyncio.Event()
    return web.json_response({})


async def _tell(request: web.Request) -> web.Response:
    memory = request.app[_MEMORY]
    seen = {"arrivals": memory.arrivals, "paths": memory.paths, "messages": memory.messages}
    return web.json_response({**seen, "pid": os.getpid()})


def build_app() -> web.Application:
    app = web.Application(middlewares=[_moody])
    app[_MEMORY] = Memory()
    notifications = "/api/notifications"
    app.add_routes(
        [
            web.post("/_fake", _set_mood),
            web.get("/_fake", _tell),
            web.get("/api/users/{id}", _one),
            web.get("/api/search", _list),
            web.get("/api/stats", _list),
            web.get("/api/conversations", _list),
            web.get("/api/conversations/{id}", _one),
            web.get("/api/conversations/{id}/messages", _list),
            web.post("/api/conversations/{id}/messages", _create_message),
            web.post("/api/conversations/{id}/stream", _stream),
            web.get(notifications, _list),
            web.get(f"{notifications}/unread_count", _unread),
            web.get(f"{notifications}/poll", _poll),
            web.post(f"{notifications}/broadcast", _done),
            web.post(f"{notifications}/mark_read", _done),
            web.post(f"{notifications}/cleanup", _done),
        ],
    )
    return app


def listen(path: Path) -> socket.socket:
    """A listener that takes the place of whatever listens at `path`, with no moment without."""
    listener = socket.socket(socket.AF_UNIX)
    new = path.with_suffix(f".{os.getpid()}")
    listener.bind(str(new))
    listener.listen(_BACKLOG)
    new.rename(path)
    return listener


def _listeners(path: str, *ports: str) -> list[socket.socket]:
    return [listen(Path(path)), *(socket.create_server(("127.0.0.1", int(p))) for p in ports)]


if __name__ == "__main__":
    web.run_app(
        build_app(),
        sock=_listeners(*sys.argv[1:]),
        backlog=_BACKLOG,
        shutdown_timeout=5,
        access_log=None,
        print=None,
    )
