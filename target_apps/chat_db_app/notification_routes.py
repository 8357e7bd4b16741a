"""HTTP operations on notifications."""

from __future__ import annotations

from aiohttp import web

import auth
import context
import notifications
import validation
from pool import connection

MAX_BODY = 20_000
MAX_POLL_S = 30.0
DEFAULT_POLL_S = 25.0
#: A century; older than anything there is.
MAX_AGE_DAYS = 36_500
MAX_CLEANUP = 1_000_000


async def broadcast(request: web.Request) -> web.Response:
    auth.require_user(request)
    body = await validation.json_object(request)
    title = validation.text_field(body, "title", validation.MAX_TITLE)
    text = validation.text_field(body, "body", MAX_BODY)
    segment = validation.optional_text_field(body, "segment", validation.MAX_TITLE)
    async with connection(request.app[context.POOL]) as conn:
        sent = await notifications.broadcast(conn, title, text, segment)
    return web.json_response({"sent": sent})


async def list_notifications(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    page = validation.query_page(request)
    async with connection(request.app[context.POOL]) as conn:
        listed = await notifications.list_notifications(conn, user_id, page)
    return web.json_response(listed)


async def get_notification(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    notification_id = validation.path_id(request)
    async with connection(request.app[context.POOL]) as conn:
        notification = await notifications.get_notification(conn, user_id, notification_id)
    return web.json_response(notification)


async def unread_count(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    async with connection(request.app[context.POOL]) as conn:
        unread = await notifications.unread_count(conn, user_id)
    return web.json_response({"unread": unread})


async def mark_read(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    body = await validation.json_object(request, or_empty=True)
    ids = validation.optional_ids_field(body, "ids")
    async with connection(request.app[context.POOL]) as conn:
        marked = await notifications.mark_read(conn, user_id, ids)
        unread = await notifications.refresh_badge(conn, user_id)
    return web.json_response({"marked": marked, "unread": unread})


async def poll_notifications(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    since = validation.query_int(request, "since", 0, 0, validation.MAX_ID)
    timeout_s = validation.query_seconds(request, "timeout", DEFAULT_POLL_S, MAX_POLL_S)
    found = await notifications.wait_for_new(
        request.app[context.POOL], user_id, since, timeout_s, request.app[context.STOPPING]
    )
    return web.json_response(found)


async def cleanup_notifications(request: web.Request) -> web.Response:
    auth.require_user(request)
    body = await validation.json_object(request)
    older_than_days = validation.int_field(body, "older_than_days", 0, MAX_AGE_DAYS)
    limit = validation.optional_int_field(body, "limit", 1, MAX_CLEANUP)
    async with connection(request.app[context.POOL]) as conn:
        deleted = await notifications.cleanup(conn, older_than_days, limit)
    return web.json_response({"deleted": deleted})
