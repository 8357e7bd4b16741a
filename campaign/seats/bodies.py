"""What clients send to sessions, and what they are told of them, as JSON."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from aiohttp import web
from operators.session import ToolSpec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from campaign.errors import UsageError
from campaign.http_parts import json_object
from campaign.seats.seat import OpenSeat, Reply

_MAX_WAIT_S = 300.0
_MAX_TEXT_CHARS = 20_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Claim(_Body):
    """`again`: also a seat that somebody has claimed."""

    again: bool = False


class Take(_Body):
    """`again`: also a ticket that is taken."""

    wait_s: Annotated[float, Field(ge=0, le=_MAX_WAIT_S)] = 0.0
    again: bool = False


class Release(_Body):
    """Of a session, unresolved."""

    reason: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)] = ""


class Message(_Body):
    """To whoever is at work."""

    text: Annotated[str, Field(min_length=1, max_length=_MAX_TEXT_CHARS)]


class Verdict(_Body):
    """On a call that waits for approval."""

    granted: bool
    reason: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)] = ""


_BodyT = TypeVar("_BodyT", bound=_Body)


async def read_body(request: web.Request, kind: type[_BodyT]) -> _BodyT:
    """Raises UsageError: what is wrong with it."""
    try:
        return kind.model_validate(await json_object(request, may_be_empty=True))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError("; ".join(problems), hint="see /openapi.json") from error


def as_summary(seat: OpenSeat) -> dict[str, Any]:
    """For whoever looks after the campaign."""
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


def as_handed_over(seat: OpenSeat, token: str) -> dict[str, Any]:
    """For whoever has the session from now on."""
    session = seat.session
    briefing = session.briefing
    return {
        "session": seat.id,
        "token": token,
        "role": briefing.role,
        "prior": briefing.prior,
        "ticket": briefing.ticket,
        "tools": [as_tool(spec) for spec in session.tools.specs],
    }


def as_tool(spec: ToolSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "description": spec.description,
        "parameters": dict(spec.parameters),
    }


def as_reply(reply: Reply) -> dict[str, Any]:
    answer = reply.answer
    return {
        "text": answer.text,
        "is_error": answer.is_error,
        "exit_code": answer.exit_code,
        "ends_session": answer.ends_session,
        "messages": list(reply.messages),
    }
