"""Conversations are listed completely and read correctly, the campaign's own too."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from campaign.gates.agreement import expect_agreement
from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.people import MAX_ENTRIES, Person, sign_up
from campaign.gates.chat_db_app.samples import owner, sampled
from campaign.gates.finding import AppFailedError, Finding, Skip, expect, holds

_MESSAGES = """
SELECT id, role, content, token_count FROM public.messages
WHERE conversation_id = $1 ORDER BY created_at, id
"""
_CONVERSATIONS = """
SELECT id, title, message_count FROM public.conversations
WHERE user_id = $1 ORDER BY updated_at DESC, id DESC LIMIT $2
"""
#: a longest conversation that takes longer is left to the latency's own rules, seconds
_QUICK_S = 2.0
_LONGEST = """
SELECT id, user_id FROM public.conversations WHERE message_count BETWEEN 1 AND 2000
ORDER BY message_count DESC LIMIT 1
"""


async def running_totals_are_right(app: LiveApp) -> Finding:
    """Of some of the campaign's conversations, with all of their messages."""
    rows = await sampled(app, "conversations", count=5)
    if not rows:
        raise Skip("there are no conversations yet")
    for row in rows:
        await _expect_right(owner(app, row), row["id"])
    longest = await _longest(app)
    return holds("running totals are right", looked_at=len(rows), longest=longest)


async def conversation_lists_are_complete(app: LiveApp) -> Finding:
    """Through all of their pages, in order, without doubles."""
    person = await sign_up(app)
    started = [(await person.start_conversation()).id for _ in range(7)]
    app.draw.shuffle(started)
    for conversation in started:
        await person.write(conversation, words.title(app.draw))
    newest_first = started[::-1]
    for limit in (None, 1, 3, 7, 1000):
        told = [entry.id for entry in await person.conversations(limit=limit)]
        expect(f"conversations by pages of {limit}", expected=newest_first, actual=told)
    rows = await sampled(app, "conversations", count=3)
    for row in rows:
        await _expect_listed(owner(app, row))
    return holds("lists of conversations are complete", own=len(started), of_others=len(rows))


async def _longest(app: LiveApp) -> int | None:
    """The longest conversation's id; None when it takes too long, which other rules judge."""
    for row in await app.fetch(_LONGEST):
        try:
            path = f"/api/conversations/{row['id']}/messages"
            await app.request("GET", path, user=row["user_id"], timeout_s=_QUICK_S)
        except AppFailedError:
            return None
        await _expect_right(owner(app, row), row["id"])
        return int(row["id"])
    return None


async def _expect_right(person: Person, conversation: int) -> None:
    async def stored() -> list[tuple[Any, ...]]:
        rows = await person.app.fetch(_MESSAGES, conversation)
        totals = accumulate(row["token_count"] for row in rows)
        return [(*row.values(), total) for row, total in zip(rows, totals, strict=True)]

    async def told() -> list[tuple[Any, ...]]:
        return [
            (m.id, m.role, m.content, m.token_count, m.running_tokens)
            for m in await person.messages(conversation)
        ]

    await expect_agreement(f"messages of conversation {conversation}", stored=stored, told=told)


async def _expect_listed(person: Person) -> None:
    async def stored() -> list[tuple[Any, ...]]:
        rows = await person.app.fetch(_CONVERSATIONS, person.id, MAX_ENTRIES)
        return [tuple(row.values()) for row in rows]

    async def told() -> list[tuple[Any, ...]]:
        return [(c.id, c.title, c.message_count) for c in await person.conversations()]

    await expect_agreement(f"conversations of user {person.id}", stored=stored, told=told)
