"""The status page's figures are the database's, as of at most a minute ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app.answers import Stats
from campaign.gates.chat_db_app.people import sign_up
from campaign.gates.finding import AppFailedError, Finding, expect_true, holds

#: "may be up to a minute old"; what was written then may have been committed a stream later
_OLD_S = 72.0

#: `$1`: what was written later does not count
_FIGURES = """
SELECT (created_at AT TIME ZONE 'UTC')::date::text AS day, role,
       count(*) AS messages, sum(token_count)::bigint AS tokens
FROM public.messages WHERE created_at <= $1 GROUP BY 1, 2
"""

Figures = dict[tuple[str, str], tuple[int, int]]


async def stats_equal_the_database(app: LiveApp) -> Finding:
    """Messages and tokens of each day and role: no fewer than a minute ago, no more than now."""
    person = await sign_up(app)
    at_least = await _figures(app, datetime.now(UTC) - timedelta(seconds=_OLD_S))
    if await app.database.quiet_s() < _OLD_S:
        # What was loaded just now is backdated, and may not be in the figures yet.
        at_least = {}
    stats = await person.get("/api/stats", Stats)
    at_most = await _figures(app, datetime.now(UTC) + timedelta(days=1))
    told = {(day.day, day.role): (day.messages, day.tokens) for day in stats.days}
    if len(told) != len(stats.days):
        raise AppFailedError("a day is told twice", expected=len(told), actual=len(stats.days))
    for key in sorted({*at_least, *told}):
        low, high, shown = (
            at_least.get(key, (0, 0)),
            at_most.get(key, (0, 0)),
            told.get(key, (0, 0)),
        )
        expect_true(
            f"messages and tokens of {key[1]} on {key[0]}",
            met=all(a <= b <= c for a, b, c in zip(low, shown, high, strict=True)),
            expected=f"from {list(low)} to {list(high)}",
            actual=list(shown),
        )
    return holds("stats equal the database", days=len(told), compared_from_below=bool(at_least))


async def _figures(app: LiveApp, until: datetime) -> Figures:
    rows = await app.fetch(_FIGURES, until)
    return {(row["day"], row["role"]): (row["messages"], row["tokens"]) for row in rows}
