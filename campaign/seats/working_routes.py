"""The HTTP API's part for whoever works on tickets from outside: take one, call its tools.

The seat token or key takes tickets, a session's own token opens its tools.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from campaign.errors import BusyError
from campaign.http_parts import bearer, is_gone, json_object
from campaign.seats.bodies import (
    Claim,
    Release,
    Take,
    as_handed_over,
    as_reply,
    as_tool,
    read_body,
)
from campaign.seats.gate import Gate
from campaign.seats.seat import OpenSeat, Reply

#: a session's id in a path
SESSION = "{session:[A-Za-z0-9_-]{1,64}}"
_TOOL = "{tool:[A-Za-z0-9_-]{1,64}}"
#: how often it is looked whether a client that waits is still there, seconds
_LOOK_S = 0.25

_T = TypeVar("_T")


class WorkingRoutes:
    """Every handler raises RatchetError, which the API puts into words."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @property
    def routes(self) -> list[web.RouteDef]:
        session = f"/api/sessions/{SESSION}"
        return [
            web.post("/api/seat/claim", self.claim),
            web.post("/api/seat/take", self.take),
            web.get("/api/seat/tools", self.expected_tools),
            web.get(f"{session}/tools", self.tools),
            web.post(f"{session}/tools/{_TOOL}", self.call),
            web.post(f"{session}/release", self.release),
        ]

    async def claim(self, request: web.Request) -> web.Response:
        """By the seat token; by the owner without one."""
        register, wish = self._gate.register, await read_body(request, Claim)
        if self._gate.is_owner(request):
            key = register.claim_for_owner(again=wish.again)
        else:
            key = register.claim(bearer(request))
        return web.json_response({"campaign": register.campaign, "key": key})

    async def take(self, request: web.Request) -> web.Response:
        register, wish = self._gate.register, await read_body(request, Take)
        register.require_key(bearer(request))
        taken = await register.take(
            bearer(request), wait_s=wish.wait_s, again=wish.again, gone=lambda: is_gone(request)
        )
        told: dict[str, Any] = {"state": taken.state, "campaign": register.campaign}
        if taken.seat is not None:
            told |= as_handed_over(taken.seat, taken.token)
        return web.json_response(told)

    async def expected_tools(self, request: web.Request) -> web.Response:
        register = self._gate.register
        if not self._gate.is_owner(request):
            register.require_key(bearer(request))
        return web.json_response({"tools": [as_tool(spec) for spec in register.specs]})

    async def tools(self, request: web.Request) -> web.Response:
        seat = await self._gate.admitted(request)
        specs = seat.session.tools.specs
        return web.json_response({"session": seat.id, "tools": [as_tool(spec) for spec in specs]})

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A client that leaves ends its call; a deployment that was asked for goes on."""
        seat = await self._gate.admitted(request)
        arguments = await json_object(request, may_be_empty=True)
        work = seat.call(request.match_info["tool"], arguments)
        return await _deliver(request, await while_there(request, work), seat)

    async def release(self, request: web.Request) -> web.Response:
        seat, wish = await self._gate.admitted(request), await read_body(request, Release)
        seat.release(wish.reason)
        return web.json_response({"session": seat.id, "done": "release"})


async def _deliver(request: web.Request, reply: Reply, seat: OpenSeat) -> web.StreamResponse:
    """What people said is not lost with a client that left before it could hear it."""
    response = web.json_response(as_reply(reply))
    arrived = False
    try:
        if is_gone(request):
            raise BusyError("the client left before it was answered")
        await response.prepare(request)
        await response.write_eof()
        arrived = True
    finally:
        if not arrived:
            seat.put_back(reply.messages)
    return response


async def while_there(request: web.Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Its result; it is cancelled, once, when nobody is left to hear it."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if is_gone(request):
                break
            await asyncio.wait({task}, timeout=_LOOK_S)
    finally:
        task.cancel()
    await asyncio.wait({task})
    if task.cancelled():
        raise BusyError("the client left before the end")
    return task.result()
