"""Behaviours of chat-db-app's users that store messages, and remember what was acknowledged."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from loadgen.calls import Call, InvalidAnswerError, StreamCall, parsed, post
from loadgen.chat_db_app.params import StreamerParams, WriterParams
from loadgen.chat_db_app.texts import CHARS_PER_TOKEN, text, token_count
from loadgen.chat_db_app.whom import WHICH_TEXT, OfConversation, Place
from loadgen.ledger import Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.backlog import Arrival
    from loadgen.sse import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a user says, and when: epoch seconds."""

    place: Place
    content: str
    at: float

    def write(self, *, message_id: int, tokens: int, kind: Literal["message", "stream"]) -> Write:
        """It was acknowledged just now."""
        return Write(
            user_id=self.place.user_id,
            conversation_id=self.place.conversation_id,
            message_id=message_id,
            tokens=tokens,
            kind=kind,
            asked_at=self.at,
            acked_at=time.time(),
        )


class Writer(OfConversation[WriterParams]):
    """Says something in a conversation."""

    name = "writer"
    params_model = WriterParams
    operations = ("create_message",)

    def call(self, arrival: Arrival) -> Call:
        place = self.place(arrival)
        content = text(
            arrival.roll,
            chars=self.params.tokens * CHARS_PER_TOKEN,
            part=WHICH_TEXT,
        )
        return Call(
            method="POST",
            wire=post(
                f"/api/conversations/{place.conversation_id}/messages",
                user_id=place.user_id,
                document={"content": content},
            ),
            accept=partial(self._accept, _Said(place=place, content=content, at=time.time())),
        )

    def _accept(self, said: _Said, body: bytes) -> None:
        answer, tokens = parsed(body), token_count(said.content)
        _require(answer, "conversation_id", said.place.conversation_id)
        _require(answer, "token_count", tokens)
        write = said.write(message_id=_id(answer, "id"), tokens=tokens, kind="message")
        self.remember("create_message", write)


class Streamer(OfConversation[StreamerParams]):
    """Asks something and reads the reply while it is made."""

    name = "streamer"
    params_model = StreamerParams
    operations = ("stream_reply",)

    def call(self, arrival: Arrival) -> StreamCall:
        place = self.place(arrival)
        content = text(
            arrival.roll,
            chars=self.params.content_tokens * CHARS_PER_TOKEN,
            part=WHICH_TEXT,
        )
        return StreamCall(
            method="POST",
            wire=post(
                f"/api/conversations/{place.conversation_id}/stream",
                user_id=place.user_id,
                document={"content": content, "tokens": self.params.tokens},
            ),
            accept=partial(self._accept, _Said(place=place, content=content, at=time.time())),
            first="token",
            limit_s=self.params.limit_s,
        )

    def _accept(self, said: _Said, events: Sequence[Event]) -> None:
        """Both sides of the turn are acknowledged by the last event, and only by that."""
        if events[-1].name != "done":
            raise InvalidAnswerError(f"the stream ended with {events[-1].name}, not done")
        turn = parsed(events[-1].data.encode())
        asked, replied = token_count(said.content), token_count(_reply(events))
        _require(turn, "token_count", asked + replied)
        question = _id(turn, "user_message_id")
        answer = _id(turn, "assistant_message_id")
        for message_id, tokens in ((question, asked), (answer, replied)):
            write = said.write(message_id=message_id, tokens=tokens, kind="stream")
            self.remember("stream_reply", write)


def _reply(events: Sequence[Event]) -> str:
    """The reply's text as the app stores it: the tokens put together, without outer blanks."""
    try:
        return "".join(json.loads(event.data) for event in events if event.name == "token").strip()
    except (ValueError, TypeError) as error:
        raise InvalidAnswerError("a token is not a JSON text") from error


def _require(answer: dict[str, Any], key: str, expected: int) -> None:
    if answer.get(key) != expected:
        raise InvalidAnswerError(f"{key} is {answer.get(key)!r}, not {expected}")


def _id(answer: dict[str, Any], key: str) -> int:
    value = answer.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidAnswerError(f"{key} is {value!r}, not an id")
    return value
