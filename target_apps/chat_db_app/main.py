"""The chat service: puts its parts together and runs them."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

from aiohttp import web

import chat_routes
import context
import logs
import middleware
import notification_routes
import openapi
import pool
import schema
import streaming
from metrics import Metrics
from settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logger = logging.getLogger("chat")

#: Clients that may wait to be let in while we are busy.
BACKLOG = 4096


async def health(request: web.Request) -> web.Response:
    async with pool.connection(request.app[context.POOL]) as conn:
        await conn.fetchval("SELECT 1")
    return web.json_response({"status": "ok"})


async def metrics(request: web.Request) -> web.Response:
    found = request.app[context.METRICS]
    return web.Response(body=found.render(), headers={"Content-Type": found.content_type})


async def openapi_document(_request: web.Request) -> web.Response:
    return web.json_response(openapi.document())


def routes() -> list[web.RouteDef]:
    """Every operation, under the name it has in the OpenAPI document."""
    chat, bell = chat_routes, notification_routes
    return [
        web.get("/healthz", health, name="health"),
        web.get("/metrics", metrics, name="metrics"),
        web.get("/openapi.json", openapi_document, name="openapi"),
        web.post("/api/users", chat.create_user, name="create_user"),
        web.get("/api/users/{id}", chat.get_user, name="get_user"),
        web.get("/api/users/{id}/usage", chat.token_usage, name="token_usage"),
        web.get("/api/conversations", chat.list_conversations, name="list_conversations"),
        web.post("/api/conversations", chat.create_conversation, name="create_conversation"),
        web.get("/api/conversations/{id}", chat.get_conversation, name="get_conversation"),
        web.get(
            "/api/conversations/{id}/transcript", chat.export_transcript, name="export_transcript"
        ),
        web.get("/api/conversations/{id}/messages", chat.list_messages, name="list_messages"),
        web.post("/api/conversations/{id}/messages", chat.create_message, name="create_message"),
        web.post("/api/conversations/{id}/stream", streaming.stream_reply, name="stream_reply"),
        web.get("/api/search", chat.search_messages, name="search_messages"),
        web.get("/api/stats", chat.conversation_stats, name="conversation_stats"),
        web.get("/api/notifications", bell.list_notifications, name="list_notifications"),
        web.get("/api/notifications/unread_count", bell.unread_count, name="unread_count"),
        web.get("/api/notifications/poll", bell.poll_notifications, name="poll_notifications"),
        web.get(r"/api/notifications/{id:-?\d+}", bell.get_notification, name="get_notification"),
        web.post("/api/notifications/broadcast", bell.broadcast, name="broadcast"),
        web.post("/api/notifications/mark_read", bell.mark_read, name="mark_read"),
        web.post(
            "/api/notifications/cleanup", bell.cleanup_notifications, name="cleanup_notifications"
        ),
    ]


async def database(app: web.Application) -> AsyncIterator[None]:
    """Opens the pool and brings the schema up to date; closes the pool at the end."""
    opened = await pool.create_pool(app[context.SETTINGS].database_url)
    try:
        async with pool.connection(opened) as conn:
            await schema.migrate(conn)
        app[context.POOL] = opened
        app[context.METRICS].watch(opened)
        logger.info("ready")
        yield
    finally:
        await pool.close_pool(opened)


async def release_waiters(app: web.Application) -> None:
    """Lets long polls answer now instead of when their time is up."""
    logger.info("stopping")
    app[context.STOPPING].set()


def build_app(settings: Settings) -> web.Application:
    app = web.Application(middlewares=[middleware.observe, middleware.unread_count_middleware])
    app[context.SETTINGS] = settings
    app[context.METRICS] = Metrics()
    app[context.STOPPING] = asyncio.Event()
    app.add_routes(routes())
    app.cleanup_ctx.append(database)
    app.on_shutdown.append(release_waiters)
    return app


def listening_socket(settings: Settings) -> socket.socket:
    """The socket we were given, or one of our own on 127.0.0.1."""
    if settings.listen_fd is not None:
        return socket.socket(fileno=settings.listen_fd)
    return socket.create_server(("127.0.0.1", settings.port))


def main() -> None:
    logs.configure()
    settings = Settings.from_env()
    web.run_app(
        build_app(settings),
        sock=listening_socket(settings),
        backlog=BACKLOG,
        shutdown_timeout=settings.drain_s,
        access_log=None,
        print=None,
    )


if __name__ == "__main__":
    main()
