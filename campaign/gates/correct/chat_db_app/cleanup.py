"""A clean-up deletes what is old enough, the oldest first, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.answers import Deleted
from campaign.gates.chat_db_app.people import Person, settle
from campaign.gates.finding import AppFailedError, Finding, Skip, expect, holds

#: what the app accepts
_OLDEST_DAYS = 36_500
#: how much older the planted ones are than all others
_APART_DAYS = 400
#: somebody else's clean-up may take what is planted; an app that is wrong is wrong each time
_TRIES = 5

_FIRST = "SELECT min(created_at) AS at FROM public.notifications"
_PLANT = """
INSERT INTO public.notifications (user_id, kind, title, body, created_at)
SELECT $1, 'announcement', $2, 'old news', at FROM unnest($3::timestamptz[]) AS times (at)
RETURNING id
"""
_LEFT = "SELECT id FROM public.notifications WHERE id = ANY ($1::bigint[]) ORDER BY id"
_REMOVE = "DELETE FROM public.notifications WHERE id = ANY ($1::bigint[])"


async def cleanup_deletes_just_what_is_old_enough(app: LiveApp) -> Finding:
    """On notifications that are planted to be older than all others by a year."""
    (person,) = await settle(app, 1, segment=words.segment(app.draw))
    for _ in range(_TRIES - 1):
        try:
            return await _cleaned(person)
        except AppFailedError:
            continue
    return await _cleaned(person)


async def _cleaned(person: Person) -> Finding:
    days = await _threshold_days(person.app)
    limit_at = datetime.now(UTC) - timedelta(days=days)
    ages_days = (30, 20, 10, 5, 1, -1, -30)
    times = [limit_at - timedelta(days=age) for age in ages_days]
    title = words.title(person.app.draw)
    rows = await person.app.database.plant(_PLANT, person.id, title, times)
    ids = [row["id"] for row in rows]
    young = 2
    try:
        await _expect_deleted(person, days, limit=2, deleted=2)
        await _expect_left(person.app, ids, ids[2:])
        await _expect_deleted(person, days, limit=None, deleted=len(ids) - 2 - young)
        await _expect_left(person.app, ids, ids[-young:])
        await _expect_deleted(person, days, limit=None, deleted=0)
        listed = sorted(entry.id for entry in await person.notifications())
        expect("what the list still shows", expected=ids[-young:], actual=listed)
    finally:
        await person.app.database.plant(_REMOVE, ids)
    return holds("a clean-up deletes just what is old enough", older_than_days=days)


async def _threshold_days(app: LiveApp) -> int:
    """An age that nothing has reached but what is planted."""
    first = (await app.fetch(_FIRST))[0]["at"] or datetime.now(UTC)
    days = (datetime.now(UTC) - first).days + _APART_DAYS
    if days > _OLDEST_DAYS:
        raise Skip(f"there are notifications from {first:%Y}: none can be planted before them")
    return days


async def _expect_deleted(person: Person, days: int, *, limit: int | None, deleted: int) -> None:
    document = {"older_than_days": days} | ({} if limit is None else {"limit": limit})
    told = await person.post("/api/notifications/cleanup", document, Deleted)
    expect("deleted", expected=deleted, actual=told.deleted)


async def _expect_left(app: LiveApp, planted: Sequence[int], expected: Sequence[int]) -> None:
    left = [row["id"] for row in await app.fetch(_LEFT, planted)]
    expect("what is left", expected=list(expected), actual=left)
