"""HTTP operations on users, conversations and messages."""

from __future__ import annotations

from aiohttp import web

import auth
import context
import models
import validation
from pool import connection

SEGMENTS = ("free", "pro", "team")
DEFAULT_SEGMENT = "free"


async def create_user(request: web.Request) -> web.Response:
    body = await validation.json_object(request)
    name = validation.text_field(body, "name", validation.MAX_TITLE)
    segment = validation.choice_field(body, "segment", SEGMENTS, DEFAULT_SEGMENT)
    async with connection(request.app[context.POOL]) as conn:
        user = await models.create_user(conn, name, segment)
    return web.json_response(user, status=201)


async def get_user(request: web.Request) -> web.Response:
    user_id = validation.path_id(request)
    auth.require_self(request, user_id)
    async with connection(request.app[context.POOL]) as conn:
        user = await models.get_user(conn, user_id)
    return web.json_response(user)


async def token_usage(request: web.Request) -> web.Response:
    user_id = validation.path_id(request)
    auth.require_self(request, user_id)
    async with connection(request.app[context.POOL]) as conn:
        report = await models.usage_report(conn, user_id)
    return web.json_response(report)


async def list_conversations(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    page = validation.query_page(request)
    async with connection(request.app[context.POOL]) as conn:
        conversations = await models.list_conversations(conn, user_id, page)
    return web.json_response(conversations)


async def create_conversation(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    body = await validation.json_object(request)
    title = validation.text_field(body, "title", validation.MAX_TITLE)
    async with connection(request.app[context.POOL]) as conn:
        conversation = await models.create_conversation(conn, user_id, title)
    return web.json_response(conversation, status=201)


async def get_conversation(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    conversation_id = validation.path_id(request)
    async with connection(request.app[context.POOL]) as conn:
        conversation = await models.get_conversation(conn, user_id, conversation_id)
    return web.json_response(conversation)


async def export_transcript(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    conversation_id = validation.path_id(request)
    async with connection(request.app[context.POOL]) as conn:
        await models.get_conversation(conn, user_id, conversation_id)
        document = await models.get_transcript(conn, conversation_id)
    return web.json_response({"conversation_id": conversation_id, "transcript": document})


async def list_messages(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    conversation_id = validation.path_id(request)
    async with connection(request.app[context.POOL]) as conn:
        await models.get_conversation(conn, user_id, conversation_id)
        messages = await models.list_messages(conn, conversation_id)
    return web.json_response({"messages": messages})


async def create_message(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    conversation_id = validation.path_id(request)
    body = await validation.json_object(request)
    draft = models.Draft(
        conversation_id=conversation_id,
        user_id=user_id,
        role="user",
        content=validation.text_field(body, "content", validation.MAX_CONTENT),
        client_id=validation.optional_text_field(body, "client_id", validation.MAX_TITLE),
    )
    async with connection(request.app[context.POOL]) as conn:
        await models.get_conversation(conn, user_id, conversation_id)
        async with conn.transaction():
            message_id = await models.record_message(conn, draft)
    created = {
        "id": message_id,
        "conversation_id": conversation_id,
        "token_count": draft.token_count,
    }
    return web.json_response(created, status=201)


async def search_messages(request: web.Request) -> web.Response:
    user_id = auth.require_user(request)
    text = validation.query_text(request, "q", validation.MAX_QUERY)
    async with connection(request.app[context.POOL]) as conn:
        results = await models.search_messages(conn, user_id, text)
    return web.json_response({"results": results})


async def conversation_stats(request: web.Request) -> web.Response:
    auth.require_user(request)
    async with connection(request.app[context.POOL]) as conn:
        days = await models.conversation_stats(conn)
    return web.json_response({"days": days})
