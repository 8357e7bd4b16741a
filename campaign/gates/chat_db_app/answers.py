"""The documented shapes of chat-db-app's answers, as far as an assertion looks into them."""

# ruff: noqa: D101 - a shape is called what the app's document calls it

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

#: as the document has it; also what can be asked of the database
Id: TypeAlias = Annotated[int, Field(ge=1, le=2**63 - 1)]


class _Shape(BaseModel):
    """Types are taken at their word ("1" is no number); what is not asked for is left aside."""

    model_config = ConfigDict(strict=True, frozen=True)


class User(_Shape):
    id: Id
    name: str
    segment: str
    token_usage: int


class Usage(_Shape):
    user_id: Id
    token_usage: int
    messages: int


class Conversation(_Shape):
    id: Id
    user_id: Id
    title: str
    message_count: int
    created_at: datetime
    updated_at: datetime


class Conversations(_Shape):
    conversations: tuple[Conversation, ...]
    next_offset: int | None


class MessageCreated(_Shape):
    id: Id
    conversation_id: Id
    token_count: int


class Message(_Shape):
    id: Id
    role: str
    content: str
    token_count: int
    running_tokens: int
    created_at: datetime


class Messages(_Shape):
    messages: tuple[Message, ...]


class Transcript(_Shape):
    conversation_id: Id
    transcript: str


class Found(_Shape):
    id: Id
    conversation_id: Id
    role: str
    content: str


class SearchResults(_Shape):
    results: tuple[Found, ...]


class StreamDone(_Shape):
    user_message_id: Id
    assistant_message_id: Id
    token_count: int


class Day(_Shape):
    day: str
    role: str
    messages: int
    tokens: int


class Stats(_Shape):
    days: tuple[Day, ...]


class Notification(_Shape):
    """In full, as listed, or as polled."""

    id: Id
    kind: str
    title: str
    body: str
    payload: dict[str, Any] | None = None
    conversation_id: Id | None
    conversation_title: str | None = None
    is_read: bool


class Notifications(_Shape):
    notifications: tuple[Notification, ...]
    next_offset: int | None


class Polled(_Shape):
    notifications: tuple[Notification, ...]
    unread: int


class Unread(_Shape):
    unread: int


class Marked(_Shape):
    marked: int
    unread: int


class Sent(_Shape):
    sent: int


class Deleted(_Shape):
    deleted: int
