"""Replies that are sent token by token while they are generated (server-sent events)."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from aiohttp import web

import auth
import context
import models
import validation
from pool import connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logger = logging.getLogger("chat.streaming")

MAX_TOKENS = 400
DEFAULT_TOKENS = 60
REPLY = (
    "certainly here is what I would look at first the part that changed most recently and then"
    " what depends on it because a small difference there shows up later as something larger"
)


class EventStream:
    """A response made of server-sent events, to a client who may leave at any time.

    What is sent after the client has left is dropped without an error.
    """

    def __init__(self) -> None:
        self.response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        self._client_left = False

    @classmethod
    async def open(cls, request: web.Request) -> EventStream:
        stream = cls()
        try:
            await stream.response.prepare(request)
        except ConnectionResetError:
            stream._client_left = True
        return stream

    async def send(self, event: str, data: Any) -> None:
        if self._client_left:
            return
        try:
            await self.response.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
        except ConnectionResetError:
            self._client_left = True


async def generate(tokens: int, delay_s: float) -> AsyncIterator[str]:
    """The language model. Outside production: ordinary words, at its usual pace."""
    for word in islice(cycle(REPLY.split()), tokens):
        await asyncio.sleep(delay_s)
        yield f"{word} "


async def stream_reply(request: web.Request) -> web.StreamResponse:
    """Stores the user's message, sends the reply as it is made, and stores that too.

    A client who leaves early finds the whole turn in the conversation when they come back.
    """
    user_id = auth.require_user(request)
    conversation_id = validation.path_id(request)
    body = await validation.json_object(request)
    content = validation.text_field(body, "content", validation.MAX_CONTENT)
    tokens = validation.optional_int_field(body, "tokens", 1, MAX_TOKENS) or DEFAULT_TOKENS
    async with connection(request.app[context.POOL]) as conn:
        await models.get_conversation(conn, user_id, conversation_id)

    question = models.Draft(
        conversation_id=conversation_id, user_id=user_id, role="user", content=content
    )
    stream = await EventStream.open(request)
    try:
        turn = await run_turn(request.app, stream, question, tokens)
    except Exception:
        # The status line has been sent; the failure can only be told in the stream.
        logger.exception("reply failed", extra={"conversation_id": conversation_id})
        await stream.send("error", {"error": "the reply could not be completed"})
    else:
        await stream.send("done", turn)
    return stream.response


async def run_turn(
    app: web.Application, stream: EventStream, question: models.Draft, tokens: int
) -> dict[str, int]:
    """One turn of a conversation: both messages, stored, with the reply streamed in between."""
    words: list[str] = []
    async with connection(app[context.POOL]) as conn, conn.transaction():
        user_message_id = await models.record_message(conn, question)
        async for word in generate(tokens, app[context.SETTINGS].token_delay_s):
            words.append(word)
            await stream.send("token", word)
        answer = replied(question, words)
        assistant_message_id = await models.record_message(conn, answer)
    return {
        "user_message_id": user_message_id,
        "assistant_message_id": assistant_message_id,
        "token_count": question.token_count + answer.token_count,
    }


def replied(question: models.Draft, words: list[str]) -> models.Draft:
    return models.Draft(
        conversation_id=question.conversation_id,
        user_id=question.user_id,
        role="assistant",
        content="".join(words).strip(),
    )
