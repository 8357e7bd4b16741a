"""What sessions cost, in words and as JSON: unknown is said to be unknown, and never a 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from campaign.model import Spend, TrialRecord, at_least, total
from reports import words


def of_all(records: Sequence[TrialRecord]) -> tuple[Spend, ...]:
    """Every session's of every trial."""
    return tuple(spend for record in records for spend in record.spends)


def spent(spends: Sequence[Spend]) -> str:
    """`12 turns, 34 000 tokens, at least $0.41`; empty when nobody counts anything."""
    known, whole = at_least(spends), total(spends)
    if known == Spend():
        return ""
    parts = (
        words.plural(known.turns, "turn") if known.turns else "",
        _part(_tokens(known.tokens), is_all=whole.tokens is not None) or "tokens unknown",
        _part(_usd(known.usd), is_all=whole.usd is not None) or "cost unknown",
    )
    return ", ".join(part for part in parts if part)


def _tokens(count: int | None) -> str:
    return "" if count is None else f"{words.quantity(count, 'count')} tokens"


def _usd(amount: float | None) -> str:
    return "" if amount is None else f"${amount:.2f}"


def _part(text: str, *, is_all: bool) -> str:
    return text if is_all or not text else f"at least {text}"


def as_json(spends: Sequence[Spend]) -> dict[str, Any]:
    """None is unknown, as a sum is of which a part is; `at_least_…` is what is known of it."""
    known, whole = at_least(spends), total(spends)
    return {
        "turns": whole.turns,
        "tokens": whole.tokens,
        "usd": whole.usd,
        "at_least_tokens": known.tokens,
        "at_least_usd": known.usd,
    }
