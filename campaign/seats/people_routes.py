"""The HTTP API's part for whoever plays the campaign: watch, talk, take over, approve, invite.

All of it wants the token of the process; a session's own token watches that session, too.
"""

from __future__ import annotations

from aiohttp import web
from operators.toolbox.approvals import Decision

from campaign.errors import NotFoundError, UsageError
from campaign.http_parts import send_events
from campaign.seats.bodies import Message, Verdict, as_handed_over, as_summary, read_body
from campaign.seats.following import follow_trace
from campaign.seats.gate import Gate
from campaign.seats.working_routes import SESSION, while_there

_APPROVAL = "{approval:[A-Za-z0-9_-]{1,80}}"


class PeopleRoutes:
    """Every handler raises RatchetError, which the API puts into words."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @property
    def routes(self) -> list[web.RouteDef]:
        session = f"/api/sessions/{SESSION}"
        return [
            web.get("/api/sessions", self.sessions),
            web.post("/api/seat/invite", self.invite),
            web.post(f"{session}/message", self.message),
            web.post(f"{session}/take-over", self.take_over),
            web.get(f"{session}/trace", self.trace),
            web.get("/api/approvals", self.approvals),
            web.post(f"/api/approvals/{_APPROVAL}", self.answer),
        ]

    async def sessions(self, request: web.Request) -> web.Response:
        self._gate.require_owner(request)
        register = self._gate.find()
        seats = () if register is None else register.seats
        return web.json_response(
            {
                "campaign": None if register is None else register.campaign,
                "sessions": [as_summary(seat) for seat in seats],
            }
        )

    async def invite(self, request: web.Request) -> web.Response:
        self._gate.require_owner(request)
        register = self._gate.register
        return web.json_response({"campaign": register.campaign, "token": register.invite()})

    async def message(self, request: web.Request) -> web.Response:
        self._gate.require_owner(request)
        seat, message = self._gate.seat(request), await read_body(request, Message)
        await seat.say(message.text)
        return web.json_response({"session": seat.id, "done": "message"})

    async def take_over(self, request: web.Request) -> web.Response:
        self._gate.require_owner(request)
        seat = self._gate.seat(request)
        token = await while_there(request, seat.take_over())
        return web.json_response(as_handed_over(seat, token))

    async def trace(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, one a line of the trace; `id` counts the lines."""
        seat = self._gate.seat(request)
        if not self._gate.is_owner(request):
            await self._gate.admitted(request)
        if seat.facts.trace is None:
            raise NotFoundError(f"session {seat.id} keeps no trace")
        lines = follow_trace(seat.facts.trace, after=_line_number(request), seat=seat)
        return await send_events(request, lines)

    async def approvals(self, request: web.Request) -> web.Response:
        self._gate.require_owner(request)
        register = self._gate.find()
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
        self._gate.require_owner(request)
        approval, verdict = request.match_info["approval"], await read_body(request, Verdict)
        seat = self._gate.register.seat(approval.rpartition("-")[0])
        seat.approvals.answer(approval, Decision(granted=verdict.granted, reason=verdict.reason))
        return web.json_response({"approval": approval, "granted": verdict.granted})


def _line_number(request: web.Request) -> int:
    text = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):  # noqa: PLR2004 - of a line
        raise UsageError(f"after {text[:40]!r}: expected the number of a line")
    return int(text)
