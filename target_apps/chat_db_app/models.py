"""Users, conversations and messages: what is stored and how it is read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import asyncpg

import moderation
from errors import NotFoundError, NotSignedInError
from paging import Page

#: A search shows this many messages at most.
SEARCH_RESULTS = 50
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A message before it is stored."""

    conversation_id: int
    #: The conversation's owner, whoever of the two is speaking.
    user_id: int
    #: "user" or "assistant".
    role: str
    content: str
    #: The client's own label for the message; kept in its metadata.
    client_id: str | None = None

    @property
    def token_count(self) -> int:
        return max(1, len(self.content) // CHARACTERS_PER_TOKEN)


# --- users -------------------------------------------------------------------------------


async def create_user(conn: asyncpg.Connection, name: str, segment: str) -> dict[str, Any]:
    row = await conn.fetchrow(
        "INSERT INTO users (name, segment) VALUES ($1, $2)"
        " RETURNING id, name, segment, token_usage",
        name,
        segment,
    )
    return dict(row)


async def get_user(conn: asyncpg.Connection, user_id: int) -> dict[str, Any]:
    row = await conn.fetchrow(
        "SELECT id, name, segment, token_usage FROM users WHERE id = $1", user_id
    )
    if row is None:
        raise NotFoundError(f"no user {user_id}")
    return dict(row)


async def usage_report(conn: asyncpg.Connection, user_id: int) -> dict[str, Any]:
    """The account's running token counter, beside how many messages it stands for."""
    user = await get_user(conn, user_id)
    messages = await conn.fetchval("SELECT COUNT(*) FROM messages WHERE user_id = $1", user_id)
    return {"user_id": user_id, "token_usage": user["token_usage"], "messages": messages}


async def add_token_usage(conn: asyncpg.Connection, user_id: int, tokens: int) -> int:
    """Charges tokens to the user's account; answers with the new total."""
    usage = await conn.fetchval("SELECT token_usage FROM users WHERE id = $1", user_id)
    usage += tokens
    await conn.execute("UPDATE users SET token_usage = $2 WHERE id = $1", user_id, usage)
    return usage


# --- conversations -----------------------------------------------------------------------


async def list_conversations(conn: asyncpg.Connection, user_id: int, page: Page) -> dict[str, Any]:
    """A page of the user's conversations, the most recently active first."""
    rows = await conn.fetch(
        "SELECT * FROM conversations WHERE user_id = $1"
        " ORDER BY updated_at DESC, id DESC LIMIT $2 OFFSET $3",
        user_id,
        page.limit,
        page.offset,
    )
    return {
        "conversations": [_conversation(row) for row in rows],
        "next_offset": page.next_offset(len(rows)),
    }


async def create_conversation(conn: asyncpg.Connection, user_id: int, title: str) -> dict[str, Any]:
    try:
        row = await conn.fetchrow(
            "INSERT INTO conversations (user_id, title) VALUES ($1, $2) RETURNING *",
            user_id,
            title,
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotSignedInError(f"no user {user_id}") from None
    return _conversation(row)


async def get_conversation(
    conn: asyncpg.Connection, user_id: int, conversation_id: int
) -> dict[str, Any]:
    """One conversation of this user's.

    Raises:
        NotFoundError: there is none with this id, or it is somebody else's.
    """
    row = await conn.fetchrow("SELECT * FROM conversations WHERE id = $1", conversation_id)
    if row is None or row["user_id"] != user_id:
        raise NotFoundError(f"no conversation {conversation_id}")
    return _conversation(row)


async def touch_conversation(conn: asyncpg.Connection, conversation_id: int) -> None:
    await conn.execute(
        "UPDATE conversations SET message_count = message_count + 1,"
        " updated_at = clock_timestamp() WHERE id = $1",
        conversation_id,
    )


async def append_transcript(conn: asyncpg.Connection, draft: Draft) -> None:
    """Adds a message's line to the document that exports are served from."""
    await conn.execute(
        "INSERT INTO transcripts AS t (conversation_id, document) VALUES ($1, $2)"
        " ON CONFLICT (conversation_id) DO UPDATE SET document = t.document || EXCLUDED.document",
        draft.conversation_id,
        f"{draft.role}: {draft.content}\n",
    )


async def get_transcript(conn: asyncpg.Connection, conversation_id: int) -> str:
    document = await conn.fetchval(
        "SELECT document FROM transcripts WHERE conversation_id = $1", conversation_id
    )
    return document or ""


# --- messages ----------------------------------------------------------------------------


async def list_messages(conn: asyncpg.Connection, conversation_id: int) -> list[dict[str, Any]]:
    """The conversation from its beginning, with the tokens spent up to each message."""
    rows = await conn.fetch(
        """
        SELECT m.id, m.role, m.content, m.token_count, m.created_at,
               (SELECT SUM(p.token_count)
                  FROM messages p
                 WHERE p.conversation_id = m.conversation_id
                   AND (p.created_at, p.id) <= (m.created_at, m.id)) AS running_tokens
          FROM messages m
         WHERE m.conversation_id = $1
         ORDER BY m.created_at, m.id
        """,
        conversation_id,
    )
    return [{**row, "created_at": row["created_at"].isoformat()} for row in rows]


async def record_message(conn: asyncpg.Connection, draft: Draft) -> int:
    """Stores a message with all that follows from it; answers with its id.

    To be called inside a transaction: the message, the counters and the transcript belong together.
    """
    await add_token_usage(conn, draft.user_id, draft.token_count)
    await touch_conversation(conn, draft.conversation_id)
    labels = await moderation.classify(draft.content)
    message_id = await insert_message(conn, draft, labels)
    await append_transcript(conn, draft)
    return message_id


async def insert_message(conn: asyncpg.Connection, draft: Draft, labels: dict[str, object]) -> int:
    metadata: dict[str, object] = {"moderation": labels}
    if draft.client_id is not None:
        metadata["client_id"] = draft.client_id
    return await conn.fetchval(
        "INSERT INTO messages (conversation_id, user_id, role, content, token_count, metadata)"
        " VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        draft.conversation_id,
        draft.user_id,
        draft.role,
        draft.content,
        draft.token_count,
        json.dumps(metadata),
    )


async def search_messages(
    conn: asyncpg.Connection, user_id: int, text: str
) -> list[dict[str, Any]]:
    """The user's newest messages that contain the words of `text`, in any case."""
    rows = await conn.fetch(
        """
        SELECT id, conversation_id, role, content, created_at
          FROM messages
         WHERE content ILIKE $1
           AND user_id = $2
         ORDER BY created_at DESC, id DESC
         LIMIT $3
        """,
        f"%{_like_escaped(text)}%",
        user_id,
        SEARCH_RESULTS,
    )
    return [{**row, "created_at": row["created_at"].isoformat()} for row in rows]


async def conversation_stats(conn: asyncpg.Connection) -> list[dict[str, Any]]:
    """Messages and tokens of the whole service, by day and speaker."""
    rows = await conn.fetch(
        """
        SELECT (created_at AT TIME ZONE 'UTC')::date AS day, role,
               COUNT(*) AS messages, SUM(token_count) AS tokens
          FROM messages
         GROUP BY day, role
         ORDER BY day, role
        """
    )
    return [{**row, "day": row["day"].isoformat()} for row in rows]


def _like_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _conversation(row: asyncpg.Record) -> dict[str, Any]:
    return {
        **row,
        "created_at": row["created_at"].isoformat(),
        "updated_at": row["updated_at"].isoformat(),
    }
