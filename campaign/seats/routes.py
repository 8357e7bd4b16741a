"""The HTTP API's part on sessions: take a ticket, call its tools, watch, talk, take over, approve.

Each route has a secret of its own: the seat token or key takes tickets, a session's token opens
its tools, and what concerns other people's sessions wants the token of the process itself.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Annotated, Any, TypeVar

from aiohttp import web
from operators.session import ToolSpec
from operators.toolbox.approvals import Decision
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from campaign.errors import AccessError, BusyError, NotFoundError, UsageError
from campaign.seats.following import follow_trace
from campaign.seats.register import Register
from campaign.seats.seat import OpenSeat

#: a session's id in a path
_SESSION = "{session:[A-Za-z0-9_-]{1,64}}"
_TOOL = "{tool:[A-Za-z0-9_-]{1,64}}"
_APPROVAL = "{approval:[A-Za-z0-9_-]{1,80}}"
#: how often it is looked whether a client that waits is still there, seconds
_LOOK_S = 0.25
_MAX_WAIT_S = 300.0
_MAX_TEXT_CHARS = 20_000

_T = TypeVar("_T")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Claim(_Body):
    again: bool = False


class _Take(_Body):
    wait_s: Annotated[float, Field(ge=0, le=_MAX_WAIT_S)] = 0.0
    again: bool = False


class _Release(_Body):
    reason: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)] = ""


class _Message(_Body):
    text: Annotated[str, Field(min_length=1, max_length=_MAX_TEXT_CHARS)]


class _Answer(_Body):
    granted: bool
    reason: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)] = ""


_BodyT = TypeVar("_BodyT", bound=_Body)


class SeatRoutes:
    """`register` gives that of the campaign that is played, or was last; None: none yet."""

    def __init__(self, register: Callable[[], Register | None], *, token: str) -> None:
        self._find = register
        self._token = token

    @property
    def routes(self) -> list[web.RouteDef]:
        session = f"/api/sessions/{_SESSION}"
        return [
            web.get("/api/sessions", self.sessions),
            web.post("/api/seat/invite", self.invite),
            web.post("/api/seat/claim", self.claim),
            web.post("/api/seat/take", self.take),
            web.get("/api/seat/tools", self.expected_tools),
            web.get(f"{session}/tools", self.tools),
            web.post(f"{session}/tools/{_TOOL}", self.call),
            web.post(f"{session}/release", self.release),
            web.post(f"{session}/message", self.message),
            web.post(f"{session}/take-over", self.take_over),
            web.get(f"{session}/trace", self.trace),
            web.get("/api/approvals", self.approvals),
            web.post(f"/api/approvals/{_APPROVAL}", self.answer),
        ]

    # -- who is there ---------------------------------------------------------------------------

    async def sessions(self, _request: web.Request) -> web.Response:
        register = self._find()
        seats = () if register is None else register.seats
        return web.json_response(
            {
                "campaign": None if register is None else register.campaign,
                "sessions": [_summary(seat) for seat in seats],
            }
        )

    # -- the seat -------------------------------------------------------------------------------

    async def invite(self, request: web.Request) -> web.Response:
        self._require_owner(request)
        register = self._register
        return web.json_response({"campaign": register.campaign, "token": register.invite()})

    async def claim(self, request: web.Request) -> web.Response:
        """By the seat token; by the owner without one."""
        register, wish = self._register, await _body(request, _Claim)
        if self._is_owner(request):
            key = register.claim_for_owner(again=wish.again)
        else:
            key = register.claim(_bearer(request))
        return web.json_response({"campaign": register.campaign, "key": key})

    async def take(self, request: web.Request) -> web.Response:
        register, wish = self._register, await _body(request, _Take)
        register.require_key(_bearer(request))
        taken = await register.take(
            _bearer(request), wait_s=wish.wait_s, again=wish.again, gone=lambda: _is_gone(request)
        )
        told: dict[str, Any] = {"state": taken.state, "campaign": register.campaign}
        if taken.seat is not None:
            told |= _handed_over(taken.seat, taken.token)
        return web.json_response(told)

    async def expected_tools(self, request: web.Request) -> web.Response:
        register = self._register
        if not self._is_owner(request):
            register.require_key(_bearer(request))
        return web.json_response({"tools": [_as_json(spec) for spec in register.specs]})

    # -- one session's tools --------------------------------------------------------------------

    async def tools(self, request: web.Request) -> web.Response:
        seat = await self._admitted(request)
        specs = seat.session.tools.specs
        return web.json_response({"session": seat.id, "tools": [_as_json(spec) for spec in specs]})

    async def call(self, request: web.Request) -> web.Response:
        """A client that leaves ends its call; a deployment that was asked for goes on."""
        seat = await self._admitted(request)
        arguments = await _json_object(request)
        work = seat.call(request.match_info["tool"], arguments)
        reply = await _while_there(request, work)
        answer = reply.answer
        return web.json_response(
            {
                "text": answer.text,
                "is_error": answer.is_error,
                "exit_code": answer.exit_code,
                "ends_session": answer.ends_session,
                "messages": list(reply.messages),
            }
        )

    async def release(self, request: web.Request) -> web.Response:
        seat, wish = await self._admitted(request), await _body(request, _Release)
        seat.release(wish.reason)
        return web.json_response({"session": seat.id, "done": "release"})

    # -- what people do to sessions -------------------------------------------------------------

    async def message(self, request: web.Request) -> web.Response:
        self._require_owner(request)
        seat, message = self._seat(request), await _body(request, _Message)
        await seat.say(message.text)
        return web.json_response({"session": seat.id, "done": "message"})

    async def take_over(self, request: web.Request) -> web.Response:
        self._require_owner(request)
        seat = self._seat(request)
        token = await _while_there(request, seat.take_over())
        return web.json_response(_handed_over(seat, token))

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, one a line of the trace; `id` counts the lines."""
        seat = self._seat(request)
        if not self._is_owner(request):
            await self._admitted(request)
        if seat.facts.trace is None:
            raise NotFoundError(f"session {seat.id} keeps no trace")
        lines = follow_trace(seat.facts.trace, after=_line_number(request), seat=seat)
        stream = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await stream.prepare(request)
        async with aclosing(lines):
            async for line in lines:
                if _is_gone(request):
                    break
                if line is not None:
                    await stream.write(f"id: {line.number}\ndata: {line.text}\n\n".encode())
        return stream

    async def approvals(self, request: web.Request) -> web.Response:
        self._require_owner(request)
        register = self._find()
        seats = () if register is None else register.seats
        return web.json_response(
            {
                "approvals": [
                    {
                        "approval": call.approval,
                        "session": seat.id,
                        "tool": call.tool,
                        "arguments": dict(call.arguments),
                        "asked_at": call.asked_at,
                    }
                    for seat in seats
                    for call in seat.approvals.waiting
                ]
            }
        )

    async def answer(self, request: web.Request) -> web.Response:
        self._require_owner(request)
        approval, answer = request.match_info["approval"], await _body(request, _Answer)
        seat = self._seat_of(approval)
        seat.approvals.answer(approval, Decision(granted=answer.granted, reason=answer.reason))
        return web.json_response({"approval": approval, "granted": answer.granted})

    # -- how ------------------------------------------------------------------------------------

    @property
    def _register(self) -> Register:
        if (register := self._find()) is None:
            raise BusyError("no campaign is being played here", hint="start one with `ratchet run`")
        return register

    def _seat(self, request: web.Request) -> OpenSeat:
        return self._register.seat(request.match_info["session"])

    def _seat_of(self, approval: str) -> OpenSeat:
        return self._register.seat(approval.rpartition("-")[0])

    async def _admitted(self, request: web.Request) -> OpenSeat:
        return await self._register.admitted(request.match_info["session"], _bearer(request))

    def _is_owner(self, request: web.Request) -> bool:
        given, expected = (
            text.encode(errors="surrogateescape") for text in (_bearer(request), self._token)
        )
        return hmac.compare_digest(given, expected)

    def _require_owner(self, request: web.Request) -> None:
        if not self._is_owner(request):
            raise AccessError(
                "the token of the process that plays the campaign is missing or wrong",
                hint="run it as the user that plays the campaign, with the same --runs",
            )


def _summary(seat: OpenSeat) -> dict[str, Any]:
    assignment = seat.facts.assignment
    return {
        "session": seat.id,
        "ticket": assignment.ticket.id,
        "operator": seat.facts.operator,
        "state": seat.state,
        "since": seat.since,
        "calls": seat.calls_made,
        "approvals": len(seat.approvals.waiting),
    }


def _handed_over(seat: OpenSeat, token: str) -> dict[str, Any]:
    session = seat.session
    briefing = session.briefing
    return {
        "session": seat.id,
        "token": token,
        "role": briefing.role,
        "prior": briefing.prior,
        "ticket": briefing.ticket,
        "tools": [_as_json(spec) for spec in session.tools.specs],
    }


def _as_json(spec: ToolSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "description": spec.description,
        "parameters": dict(spec.parameters),
    }


def _bearer(request: web.Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if kind == "Bearer" else ""


def _is_gone(request: web.Request) -> bool:
    transport = request.transport
    return transport is None or transport.is_closing()


async def _while_there(request: web.Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Its result; it is cancelled when nobody is left to hear it."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if _is_gone(request):
                task.cancel()
            await asyncio.wait({task}, timeout=_LOOK_S)
        if task.cancelled():
            raise BusyError("the client left before the end")
        return task.result()
    finally:
        task.cancel()


def _line_number(request: web.Request) -> int:
    text = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):  # noqa: PLR2004 - of a line
        raise UsageError(f"after {text[:40]!r}: expected the number of a line")
    return int(text)


async def _json_object(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    try:
        told: Any = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON: {error}") from error
    if not isinstance(told, Mapping):
        raise UsageError("the body must be a JSON object")
    return dict(told)


async def _body(request: web.Request, kind: type[_BodyT]) -> _BodyT:
    try:
        return kind.model_validate(await _json_object(request))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError("; ".join(problems), hint="see /openapi.json") from error
