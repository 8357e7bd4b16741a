"""What happens around every request."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from aiohttp import web

import auth
import context
import notifications
from errors import ApiError
from pool import connection

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

logger = logging.getLogger("chat.requests")

UNREAD_HEADER = "X-Unread-Count"
#: These take as long as the client asks for; how long says nothing.
_OPEN_ENDED = frozenset({"stream_reply", "poll_notifications"})


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors into JSON answers, counts and times, logs what failed or was slow."""
    metrics = request.app[context.METRICS]
    started = time.perf_counter()
    metrics.in_flight.inc()
    try:
        response = await _answer(request, handler)
    finally:
        metrics.in_flight.dec()
    duration_s = time.perf_counter() - started
    route = request.match_info.route
    path = route.resource.canonical if route.resource else "unmatched"
    metrics.observe(path, request.method, response.status, duration_s)
    slow = duration_s > request.app[context.SETTINGS].slow_request_s
    if slow and route.name not in _OPEN_ENDED:
        logger.warning("slow request", extra=_details(request, response.status, duration_s))
    return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response({"error": error.message}, status=error.status)
    except web.HTTPException as error:
        return _as_json(error)
    except Exception as error:
        logger.exception("request failed", extra={**_details(request, 500), "error": str(error)})
        return web.json_response({"error": "internal error"}, status=500)


def _as_json(error: web.HTTPException) -> web.Response:
    """What aiohttp itself answers (404, 405, 413), with our kind of body."""
    kept = {name: error.headers[name] for name in ("Allow", "Location") if name in error.headers}
    return web.json_response({"error": error.reason}, status=error.status, headers=kept)


def _details(
    request: web.Request, status: int, duration_s: float | None = None
) -> dict[str, object]:
    details: dict[str, object] = {
        "method": request.method,
        "path": request.path,
        "user_id": request.headers.get(auth.USER_HEADER),
        "status": status,
    }
    if duration_s is not None:
        details["duration_ms"] = round(duration_s * 1000)
    return details


@web.middleware
async def unread_count_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells the client with every answer how many notifications wait, for the bell's number."""
    user_id = auth.signed_in_user(request)
    if user_id is None or not _shows_bell(request.path):
        return await handler(request)
    async with connection(request.app[context.POOL]) as conn:
        unread = await notifications.unread_count(conn, user_id)
    response = await handler(request)
    if not response.prepared:
        response.headers[UNREAD_HEADER] = str(unread)
    return response


def _shows_bell(path: str) -> bool:
    """The notifications' own operations carry the number in their bodies."""
    return path.startswith("/api/") and not path.startswith("/api/notifications")
