"""A streamed exchange is stored completely and once, whether the client stays or leaves."""

from __future__ import annotations

import asyncio

from pydantic import TypeAdapter, ValidationError

from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.answers import Message, StreamDone
from campaign.gates.chat_db_app.people import Person, sign_up
from campaign.gates.client import StreamAnswer
from campaign.gates.finding import AppFailedError, Finding, expect, expect_true, holds
from loadgen.chat_db_app.texts import token_count

_TEXT = TypeAdapter(str)
#: how long a reply may take to be stored after its client has left, seconds
_PATIENCE_S = 4.0
_POLL_S = 0.1
#: a client that was itself held up finds all pieces waiting for it, and has left too late
_TRIES = 3
_ROWS = "SELECT role, content FROM public.messages WHERE conversation_id = $1 ORDER BY id"


async def a_streamed_exchange_is_stored_once(app: LiveApp) -> Finding:
    """`done` names both messages, which are what was asked and what was sent."""
    person = await sign_up(app)
    conversation = (await person.start_conversation()).id
    question, pieces = words.title(app.draw), app.draw.randrange(5, 9)
    heard = await _ask(person, conversation, question, pieces)
    told = [event.data for event in heard.events if event.name == "token"]
    reply = "".join(_piece(data) for data in told).strip()
    expect("pieces of the reply", expected=pieces, actual=len(told))
    done = _done(heard)
    tokens = [token_count(question), token_count(reply)]
    expect("tokens of the exchange", expected=sum(tokens), actual=done.token_count)
    messages = await person.messages(conversation)
    ids = [done.user_message_id, done.assistant_message_id]
    expect("messages named", expected=ids, actual=[message.id for message in messages])
    _expect_exchange(messages, question=question, reply=reply)
    expect("their tokens", expected=tokens, actual=[m.token_count for m in messages])
    await _expect_accounted(person, conversation, question, reply)
    return holds("a streamed exchange is stored once", pieces=pieces)


async def an_exchange_whose_client_leaves_is_stored_once(app: LiveApp) -> Finding:
    """The reply is completed all the same."""
    person = await sign_up(app)
    for _ in range(_TRIES):
        conversation = (await person.start_conversation()).id
        question, pieces = words.title(app.draw), app.draw.randrange(14, 20)
        heard = await _ask(person, conversation, question, pieces, leave_after=3)
        if len(heard.events) < pieces:
            break
    expect_true(
        "a stream that has begun",
        met=len(heard.events) < pieces,
        expected=f"not all of {pieces} pieces at once",
        actual=[event.name for event in heard.events],
    )
    begun = "".join(_piece(event.data) for event in heard.events)
    messages = await _stored_in_time(person, conversation)
    reply = messages[-1].content
    expect_true("the reply", met=reply.startswith(begun.strip()), expected=begun, actual=reply)
    expect("its pieces", expected=pieces, actual=len(reply.split()))
    _expect_exchange(messages, question=question, reply=reply)
    await _expect_accounted(person, conversation, question, reply)
    return holds("an exchange is completed without its client", pieces=pieces)


async def _ask(
    person: Person, conversation: int, question: str, pieces: int, leave_after: int | None = None
) -> StreamAnswer:
    heard = await person.app.stream(
        f"/api/conversations/{conversation}/stream",
        user=person.id,
        json={"content": question, "tokens": pieces},
        leave_after=leave_after,
    )
    heard.answer.expect_status(200)
    return heard


def _piece(data: str) -> str:
    try:
        return _TEXT.validate_json(data, strict=True)
    except ValidationError as error:
        raise AppFailedError("a token is no JSON text", expected="text", actual=data) from error


def _done(heard: StreamAnswer) -> StreamDone:
    """The last event, and the only one of its kind."""
    names = [event.name for event in heard.events if event.name != "token"]
    expect("events after the reply", expected=["done"], actual=names)
    try:
        return StreamDone.model_validate_json(heard.events[-1].data)
    except ValidationError as error:
        raise AppFailedError(
            "`done` is not as documented", expected="StreamDone", actual=heard.events[-1].data
        ) from error


async def _stored_in_time(person: Person, conversation: int) -> tuple[Message, ...]:
    messages: tuple[Message, ...] = ()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while len(messages) < 2:  # noqa: PLR2004 - question and reply
                messages = await person.messages(conversation)
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise AppFailedError(
            f"the exchange was not stored within {_PATIENCE_S:g} s of the client's leaving",
            expected=["user", "assistant"],
            actual=[message.role for message in messages],
        ) from None
    return await person.messages(conversation)


def _expect_exchange(messages: tuple[Message, ...], *, question: str, reply: str) -> None:
    expected = [("user", question), ("assistant", reply)]
    expect("messages", expected=expected, actual=[(m.role, m.content) for m in messages])


async def _expect_accounted(person: Person, conversation: int, question: str, reply: str) -> None:
    """In the table, in the counters and in the export."""
    rows = await person.app.fetch(_ROWS, conversation)
    stored = [(row["role"], row["content"]) for row in rows]
    expect("rows", expected=[("user", question), ("assistant", reply)], actual=stored)
    usage = await person.usage()
    spent = token_count(question) + token_count(reply)
    expect("tokens used", expected=spent, actual=usage.token_usage)
    counted = (await person.conversation(conversation)).message_count
    expect("messages counted", expected=2, actual=counted)
    lines = f"user: {question}\nassistant: {reply}\n"
    expect("the export", expected=lines, actual=await person.transcript(conversation))
