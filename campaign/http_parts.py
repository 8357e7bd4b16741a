"""What all parts of the HTTP API do alike: bearers, JSON bodies, events as they happen."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from campaign.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One server-sent event."""

    #: what a client that lost the connection has seen last
    id: int
    #: one line
    data: str
    #: empty: of no kind in particular
    kind: str = ""

    def encode(self) -> bytes:
        kind = f"event: {self.kind}\n" if self.kind else ""
        return f"id: {self.id}\n{kind}data: {self.data}\n\n".encode()


async def send_events(
    request: web.Request,
    events: AsyncGenerator[ServerEvent, None] | AsyncGenerator[ServerEvent | None, None],
) -> web.StreamResponse:
    """All of them, until there are no more or the client has left.

    None is no event: a moment to look whether the client is still there.
    """
    stream = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await stream.prepare(request)
    async with aclosing(events):
        async for event in events:
            if is_gone(request):
                break
            if event is not None:
                await stream.write(event.encode())
    return stream


async def json_object(request: web.Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The body; one of nothing at all is an empty object only where it `may_be_empty`.

    Raises:
        UsageError: it is none.
    """
    body = await request.read()
    if may_be_empty and not body.strip():
        return {}
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError("the body must be a JSON object")
    return told


def bearer(request: web.Request) -> str:
    """The token that came with it; empty for none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if kind == "Bearer" else ""


def is_gone(request: web.Request) -> bool:
    """Nobody is left to hear the answer."""
    transport = request.transport
    return transport is None or transport.is_closing()
