"""Nothing that was stored may vanish: the app has no way to delete messages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from campaign.gates.app import LiveApp
from campaign.gates.finding import Finding, expect_true, holds

#: What each account had been charged when the harness first saw it was charged for messages, which
#: must be there still. The app's own counters are left out: an operator could lower them.
_GONE = """
SELECT opening.user_id, opening.tokens - coalesce(stored.tokens, 0) AS tokens
FROM ratchet.opening_usage AS opening LEFT JOIN (
    SELECT user_id, sum(token_count)::bigint AS tokens FROM public.messages GROUP BY user_id
) AS stored ON stored.user_id = opening.user_id
WHERE coalesce(stored.tokens, 0) < opening.tokens
"""


class _Loss(BaseModel):
    """Tokens of a user's messages that are gone, and the trial that was told of it first."""

    trial: int
    tokens: int


class _Losses(BaseModel):
    of_users: dict[int, _Loss] = {}


async def no_message_is_deleted(app: LiveApp) -> Finding:
    """Neither the campaign's own nor what was loaded; what an earlier trial lost is on record."""
    known = await asyncio.to_thread(_recall, app)
    gone = {row["user_id"]: int(row["tokens"]) for row in await app.fetch(_GONE)}
    fresh = {user: tokens for user, tokens in gone.items() if tokens > _excused(app, known, user)}
    if fresh:
        await asyncio.to_thread(_record, app, known, fresh)
    expect_true(
        "messages of the campaign's users, in tokens",
        met=not fresh,
        expected="as many as there were",
        actual={f"user {user}": f"{tokens} missing" for user, tokens in sorted(fresh.items())},
    )
    return holds("no message is deleted", lost_in_earlier_trials=len(gone))


def _excused(app: LiveApp, known: Mapping[int, _Loss], user: int) -> int:
    loss = known.get(user)
    return loss.tokens if loss is not None and loss.trial < app.trial else 0


def _recall(app: LiveApp) -> dict[int, _Loss]:
    try:
        return _Losses.model_validate_json((app.memory / "losses.json").read_bytes()).of_users
    except (FileNotFoundError, ValidationError):
        return {}


def _record(app: LiveApp, known: Mapping[int, _Loss], fresh: Mapping[int, int]) -> None:
    new = {user: _Loss(trial=app.trial, tokens=tokens) for user, tokens in fresh.items()}
    app.memory.mkdir(parents=True, exist_ok=True)
    losses = _Losses(of_users={**known, **new})
    (app.memory / "losses.json").write_text(losses.model_dump_json())
