"""Notifications: sending, listing, waiting for, reading and clearing them away."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from errors import NotFoundError
from paging import Page
from pool import connection

if TYPE_CHECKING:
    import asyncpg

#: A waiting client is told of a new notification after at most this many seconds.
POLL_INTERVAL_S = 0.5


# --- sending -----------------------------------------------------------------------------


async def recipients(conn: asyncpg.Connection, segment: str | None) -> list[int]:
    """Ids of everybody, or of everybody in one segment."""
    rows = await conn.fetch("SELECT id, segment FROM users ORDER BY id")
    return [row["id"] for row in rows if segment is None or row["segment"] == segment]


async def broadcast(conn: asyncpg.Connection, title: str, body: str, segment: str | None) -> int:
    """Notifies everybody (in the segment) or, when something fails, nobody."""
    async with conn.transaction():
        user_ids = await recipients(conn, segment)
        for user_id in user_ids:
            await conn.execute(
                "INSERT INTO notifications (user_id, kind, title, body)"
                " VALUES ($1, 'announcement', $2, $3)",
                user_id,
                title,
                body,
            )
    return len(user_ids)


# --- listing -----------------------------------------------------------------------------


async def list_notifications(conn: asyncpg.Connection, user_id: int, page: Page) -> dict[str, Any]:
    """A page of the user's notifications, newest first, each with its conversation's title."""
    entries = []
    for row in await fetch_notifications(conn, user_id, page):
        title = await conversation_title(conn, row["conversation_id"])
        entries.append({**list_entry(row), "conversation_title": title})
    return {"notifications": entries, "next_offset": page.next_offset(len(entries))}


async def fetch_notifications(
    conn: asyncpg.Connection, user_id: int, page: Page
) -> list[asyncpg.Record]:
    return await conn.fetch(
        "SELECT * FROM notifications WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3",
        user_id,
        page.limit,
        page.offset,
    )


async def conversation_title(conn: asyncpg.Connection, conversation_id: int | None) -> str | None:
    if conversation_id is None:
        return None
    return await conn.fetchval("SELECT title FROM conversations WHERE id = $1", conversation_id)


async def get_notification(
    conn: asyncpg.Connection, user_id: int, notification_id: int
) -> dict[str, Any]:
    """One notification with everything that belongs to it.

    Raises:
        NotFoundError: there is none with this id, or it is somebody else's.
    """
    row = await conn.fetchrow("SELECT * FROM notifications WHERE id = $1", notification_id)
    if row is None or row["user_id"] != user_id:
        raise NotFoundError(f"no notification {notification_id}")
    title = await conversation_title(conn, row["conversation_id"])
    return {**complete(row), "conversation_title": title}


def list_entry(row: asyncpg.Record) -> dict[str, Any]:
    """A notification as it appears in a list."""
    return complete(row)


def complete(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "title": row["title"],
        "body": row["body"],
        "payload": json.loads(row["payload"]),
        "conversation_id": row["conversation_id"],
        "is_read": row["is_read"],
        "created_at": row["created_at"].isoformat(),
    }


# --- waiting -----------------------------------------------------------------------------


async def wait_for_new(
    pool: asyncpg.Pool, user_id: int, since: int, timeout_s: float, stopping: asyncio.Event
) -> dict[str, Any]:
    """Notifications with an id above `since`: at once, or as soon as there are any.

    Answers with none after `timeout_s` seconds, or when the service is being stopped.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    async with connection(pool) as conn:
        while True:
            counts = await count_since(conn, user_id, since)
            patience_s = min(POLL_INTERVAL_S, deadline - loop.time())
            if counts["fresh"] or patience_s <= 0 or await happens(stopping, patience_s):
                rows = await fetch_since(conn, user_id, since) if counts["fresh"] else []
                return {
                    "notifications": [list_entry(row) for row in rows],
                    "unread": counts["unread"],
                }


async def happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), within_s)
    except TimeoutError:
        return False
    return True


async def count_since(conn: asyncpg.Connection, user_id: int, since: int) -> asyncpg.Record:
    """`fresh`: how many came after `since`; `unread`: how many are unread in all."""
    return await conn.fetchrow(
        "SELECT COUNT(*) FILTER (WHERE id > $2) AS fresh,"
        " COUNT(*) FILTER (WHERE NOT is_read) AS unread"
        " FROM notifications WHERE user_id = $1",
        user_id,
        since,
    )


async def fetch_since(conn: asyncpg.Connection, user_id: int, since: int) -> list[asyncpg.Record]:
    return await conn.fetch(
        "SELECT * FROM notifications WHERE user_id = $1 AND id > $2 ORDER BY id",
        user_id,
        since,
    )


# --- reading -----------------------------------------------------------------------------


async def unread_count(conn: asyncpg.Connection, user_id: int) -> int:
    return await conn.fetchval(
        "SELECT COUNT(*) FROM notifications WHERE user_id = $1 AND NOT is_read", user_id
    )


async def mark_read(conn: asyncpg.Connection, user_id: int, ids: list[int] | None) -> int:
    """Marks the given notifications of the user's (all when None) as read.

    Answers with how many were unread until now; ids of other people's are passed over.
    """
    async with conn.transaction():
        rows = await select_own(conn, user_id, ids)
        for row in rows:
            await conn.execute("UPDATE notifications SET is_read = true WHERE id = $1", row["id"])
    return sum(not row["is_read"] for row in rows)


async def select_own(
    conn: asyncpg.Connection, user_id: int, ids: list[int] | None
) -> list[asyncpg.Record]:
    return await conn.fetch(
        "SELECT id, is_read FROM notifications WHERE user_id = $1"
        " AND ($2::bigint[] IS NULL OR id = ANY ($2)) ORDER BY id",
        user_id,
        ids,
    )


async def refresh_badge(conn: asyncpg.Connection, user_id: int) -> int:
    """Counts what is unread and stores it as the user's badge, as of one moment."""
    async with conn.transaction(isolation="serializable"):
        unread = await unread_count(conn, user_id)
        await conn.execute(
            "INSERT INTO badges (user_id, unread, refreshed_at)"
            " VALUES ($1, $2, clock_timestamp())"
            " ON CONFLICT (user_id) DO UPDATE"
            " SET unread = EXCLUDED.unread, refreshed_at = EXCLUDED.refreshed_at",
            user_id,
            unread,
        )
    return unread


# --- clearing away -----------------------------------------------------------------------


async def cleanup(conn: asyncpg.Connection, older_than_days: int, limit: int | None) -> int:
    """Deletes notifications of that age, the oldest first; answers with how many."""
    before = datetime.now(UTC) - timedelta(days=older_than_days)
    async with conn.transaction():
        expired = await expired_ids(conn, before, limit)
        for notification_id in expired:
            await conn.execute("DELETE FROM notifications WHERE id = $1", notification_id)
    return len(expired)


async def expired_ids(conn: asyncpg.Connection, before: datetime, limit: int | None) -> list[int]:
    rows = await conn.fetch(
        "SELECT id FROM notifications WHERE created_at < $1 ORDER BY created_at, id LIMIT $2",
        before,
        limit,
    )
    return [row["id"] for row in rows]
