"""The OpenAPI document of the service; what it says is what clients may rely on."""

from __future__ import annotations

import validation
from auth import USER_HEADER
from notification_routes import DEFAULT_POLL_S, MAX_POLL_S
from openapi_schemas import ID, STRING, Json, object_, ref, schemas, text

_PAGES = (
    " A page may be shorter than `limit`, and without `limit` the service decides how many come;"
    " go on at `next_offset` until it is null."
)


def document() -> Json:
    """The whole document, as JSON-able values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chat-db-app",
            "version": "2.3.0",
            "description": "Conversations with an assistant, their history, and notifications.",
        },
        "paths": {**_service_paths(), **_chat_paths(), **_notification_paths()},
        "components": {"schemas": schemas(), "securitySchemes": {"user": _user_header()}},
    }


# --- operations --------------------------------------------------------------------------


def _service_paths() -> Json:
    return {
        "/healthz": {
            "get": _operation(
                "health", "Whether the service can reach its database.", "Health", signed_in=False
            )
        },
    }


def _chat_paths() -> Json:
    return {
        "/api/users": {
            "post": _operation(
                "create_user",
                "Signs a new user up.",
                "User",
                status="201",
                body="NewUser",
                signed_in=False,
            )
        },
        "/api/users/{id}": {
            "get": _operation("get_user", "The signed-in user's account.", "User", [_path_id()])
        },
        "/api/users/{id}/usage": {
            "get": _operation(
                "token_usage",
                "Tokens the signed-in user has used, in both directions.",
                "Usage",
                [_path_id()],
            )
        },
        "/api/conversations": {
            "get": _operation(
                "list_conversations",
                "The user's conversations, the most recently active first." + _PAGES,
                "Conversations",
                _page(),
            ),
            "post": _operation(
                "create_conversation",
                "Starts a conversation.",
                "Conversation",
                status="201",
                body="NewConversation",
            ),
        },
        "/api/conversations/{id}": {
            "get": _operation("get_conversation", "One conversation.", "Conversation", [_path_id()])
        },
        "/api/conversations/{id}/transcript": {
            "get": _operation(
                "export_transcript",
                "The conversation as plain text, a `role: content` line per message in the order"
                " they were written. Messages from before release 2.0 may be missing.",
                "Transcript",
                [_path_id()],
            )
        },
        "/api/conversations/{id}/messages": {
            "get": _operation(
                "list_messages",
                "All messages of a conversation, oldest first.",
                "Messages",
                [_path_id()],
            ),
            "post": _operation(
                "create_message",
                "Writes a message. Its tokens are charged to the user at once.",
                "MessageCreated",
                [_path_id()],
                status="201",
                body="NewMessage",
            ),
        },
        "/api/conversations/{id}/stream": {"post": _stream_operation()},
        "/api/search": {
            "get": _operation(
                "search_messages",
                "The user's messages that contain the words of `q` one after the other, whatever"
                " their case: the newest 50, newest first. Whether parts of words are found too"
                " is not promised.",
                "SearchResults",
                [_query("q", text(validation.MAX_QUERY), required=True)],
            )
        },
        "/api/stats": {
            "get": _operation(
                "conversation_stats",
                "Messages and tokens of the whole service by day and role, for the status page."
                " The figures may be up to a minute old.",
                "Stats",
            )
        },
    }


def _notification_paths() -> Json:
    return {
        "/api/notifications": {
            "get": _operation(
                "list_notifications",
                "The user's notifications, newest first."
                + _PAGES
                + " An entry need not carry its `payload`, and may carry the"
                " beginning of its `body` only; `get_notification` gives both in full.",
                "Notifications",
                _page(),
            )
        },
        "/api/notifications/unread_count": {
            "get": _operation("unread_count", "How many are unread.", "Unread")
        },
        "/api/notifications/poll": {
            "get": _operation(
                "poll_notifications",
                "Waits until there is a notification with an id above `since`, or `timeout` seconds"
                " have passed. New ones are told within a second.",
                "PolledNotifications",
                [
                    _query("since", {**ID, "minimum": 0, "default": 0}),
                    _query(
                        "timeout",
                        {
                            "type": "number",
                            "minimum": 0,
                            "maximum": MAX_POLL_S,
                            "default": DEFAULT_POLL_S,
                        },
                    ),
                ],
            )
        },
        "/api/notifications/{id}": {
            "get": _operation(
                "get_notification", "One notification in full.", "Notification", [_path_id()]
            )
        },
        "/api/notifications/broadcast": {
            "post": _operation(
                "broadcast",
                "Notifies every user (of a segment). All have it by the time of the answer.",
                "Sent",
                body="NewBroadcast",
            )
        },
        "/api/notifications/mark_read": {
            "post": _operation(
                "mark_read",
                "Marks the user's notifications with these ids, or all of them, as read.",
                "Marked",
                body="MarkRead",
                body_required=False,
            )
        },
        "/api/notifications/cleanup": {
            "post": _operation(
                "cleanup_notifications",
                "Deletes everybody's notifications of that age, the oldest first.",
                "Deleted",
                body="Cleanup",
            )
        },
    }


def _stream_operation() -> Json:
    operation = _operation(
        "stream_reply",
        "Writes a message and streams the assistant's reply: `event: token` with a piece of text"
        " each, then `event: done` with a StreamDone, once both messages are stored. If the client"
        " leaves early the reply is completed and stored all the same.",
        "StreamDone",
        [_path_id()],
        body="NewStream",
    )
    event: Json = {"enum": ["token", "done", "error"]}
    operation["responses"]["200"] = {
        "description": "Server-sent events; the schema is that of one, its data encoded as JSON.",
        "content": {"text/event-stream": {"schema": object_({"event": event, "data": STRING})}},
    }
    return operation


def _operation(
    name: str,
    summary: str,
    answer: str,
    parameters: list[Json] | None = None,
    *,
    status: str = "200",
    body: str | None = None,
    body_required: bool = True,
    signed_in: bool = True,
) -> Json:
    operation: Json = {
        "operationId": name,
        "summary": summary,
        "parameters": parameters or [],
        "security": [{"user": []}] if signed_in else [],
        "responses": {status: _answer("Done.", answer), **_failures(signed_in=signed_in)},
    }
    if body is not None:
        content = {"application/json": {"schema": ref(body)}}
        operation["requestBody"] = {"required": body_required, "content": content}
    return operation


def _failures(*, signed_in: bool) -> Json:
    failures = {
        "400": _answer("A part of the request is missing, malformed or out of range.", "Error"),
        "404": _answer("There is no such thing, or it is somebody else's.", "Error"),
        "413": _answer("The body is larger than 1 MiB.", "Error"),
    }
    if signed_in:
        failures["401"] = _answer(f"No usable {USER_HEADER} header, or no such user.", "Error")
    return failures


def _answer(description: str, schema: str) -> Json:
    return {
        "description": description,
        "content": {"application/json": {"schema": ref(schema)}},
    }


def _path_id() -> Json:
    return {"name": "id", "in": "path", "required": True, "schema": ID}


def _user_header() -> Json:
    return {
        "type": "apiKey",
        "in": "header",
        "name": USER_HEADER,
        "description": "Id of the signed-in user, as the gateway found it out.",
    }


def _query(name: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _page() -> list[Json]:
    limit = {"type": "integer", "minimum": 1, "maximum": validation.MAX_PAGE}
    return [_query("limit", limit), _query("offset", {**ID, "minimum": 0, "default": 0})]
