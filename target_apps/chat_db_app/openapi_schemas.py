"""The shapes of requests and answers in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import validation
from chat_routes import DEFAULT_SEGMENT, SEGMENTS
from notification_routes import MAX_AGE_DAYS, MAX_BODY, MAX_CLEANUP
from streaming import DEFAULT_TOKENS, MAX_TOKENS

Json = dict[str, Any]

ID: Json = {"type": "integer", "format": "int64", "minimum": 1, "maximum": validation.MAX_ID}
COUNT: Json = {"type": "integer", "minimum": 0}
STRING: Json = {"type": "string"}
TIME: Json = {"type": "string", "format": "date-time"}


def schemas() -> Json:
    return {**_chat_schemas(), **_notification_schemas(), "Error": object_({"error": STRING})}


def _chat_schemas() -> Json:
    user = {"id": ID, "name": STRING, "segment": STRING, "token_usage": COUNT}
    return {
        "Health": object_({"status": STRING}),
        "NewUser": object_(
            {
                "name": text(validation.MAX_TITLE),
                "segment": {"enum": list(SEGMENTS), "default": DEFAULT_SEGMENT},
            },
            required=["name"],
        ),
        "User": object_(user),
        "Usage": object_({"user_id": ID, "token_usage": COUNT, "messages": COUNT}),
        "NewConversation": object_({"title": text(validation.MAX_TITLE)}),
        "Conversation": object_(
            {
                "id": ID,
                "user_id": ID,
                "title": STRING,
                "message_count": COUNT,
                "created_at": TIME,
                "updated_at": TIME,
            }
        ),
        "Conversations": _page_of("conversations", "Conversation"),
        "Transcript": object_({"conversation_id": ID, "transcript": STRING}),
        **_message_schemas(),
        "Stats": object_({"days": {"type": "array", "items": _day()}}),
    }


def _message_schemas() -> Json:
    content = text(validation.MAX_CONTENT)
    role = {"enum": ["user", "assistant"]}
    message = {"id": ID, "role": role, "content": STRING, "token_count": COUNT}
    found = {"id": ID, "conversation_id": ID, "role": role, "content": STRING, "created_at": TIME}
    return {
        "NewMessage": object_(
            {"content": content, "client_id": or_null(text(validation.MAX_TITLE))},
            required=["content"],
        ),
        "MessageCreated": object_({"id": ID, "conversation_id": ID, "token_count": COUNT}),
        "Message": object_({**message, "running_tokens": COUNT, "created_at": TIME}),
        "Messages": object_({"messages": list_of("Message")}),
        "SearchResults": object_({"results": {"type": "array", "items": object_(found)}}),
        "NewStream": object_(
            {
                "content": content,
                "tokens": or_null(
                    {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_TOKENS,
                        "default": DEFAULT_TOKENS,
                    }
                ),
            },
            required=["content"],
        ),
        "StreamDone": {
            **object_({"user_message_id": ID, "assistant_message_id": ID, "token_count": COUNT}),
            "description": "`token_count` is that of both messages together.",
        },
    }


def _day() -> Json:
    day = {"type": "string", "format": "date"}
    return object_({"day": day, "role": STRING, "messages": COUNT, "tokens": COUNT})


def _notification_schemas() -> Json:
    entry = {
        "id": ID,
        "kind": STRING,
        "title": STRING,
        "body": STRING,
        "payload": {"type": "object"},
        "conversation_id": or_null(ID),
        "is_read": {"type": "boolean"},
        "created_at": TIME,
    }
    full = {**entry, "conversation_title": or_null(STRING)}
    polled = [name for name in entry if name != "payload"]
    ids = {"type": "array", "items": ID, "maxItems": validation.MAX_IDS}
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_CLEANUP}
    age = {"type": "integer", "minimum": 0, "maximum": MAX_AGE_DAYS}
    return {
        "Notification": object_(full),
        "ListedNotification": object_(full, required=[*polled, "conversation_title"]),
        "Notifications": _page_of("notifications", "ListedNotification"),
        "PolledNotification": object_(entry, required=polled),
        "PolledNotifications": object_(
            {"notifications": list_of("PolledNotification"), "unread": COUNT}
        ),
        "Unread": object_({"unread": COUNT}),
        "NewBroadcast": object_(
            {
                "title": text(validation.MAX_TITLE),
                "body": text(MAX_BODY),
                "segment": or_null(text(validation.MAX_TITLE)),
            },
            required=["title", "body"],
        ),
        "Sent": object_({"sent": COUNT}),
        "MarkRead": object_({"ids": or_null(ids)}, required=[]),
        "Marked": object_({"marked": COUNT, "unread": COUNT}),
        "Cleanup": object_(
            {"older_than_days": age, "limit": or_null(limit)}, required=["older_than_days"]
        ),
        "Deleted": object_({"deleted": COUNT}),
    }


def _page_of(name: str, schema: str) -> Json:
    return object_({name: list_of(schema), "next_offset": or_null(COUNT)})


def object_(properties: Json, required: list[str] | None = None) -> Json:
    """An object; every property is required unless `required` says which."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def list_of(schema: str) -> Json:
    return {"type": "array", "items": ref(schema)}


def or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def text(longest: int) -> Json:
    """A text that can be stored: Postgres takes no NUL."""
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": "^[^\\u0000]*$"}
