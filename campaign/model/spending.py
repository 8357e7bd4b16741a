"""Adding up what sessions cost. What is unknown is never counted as nothing."""

from __future__ import annotations

from collections.abc import Iterable

from campaign.model.ticket import Spend


def total(spends: Iterable[Spend]) -> Spend:
    """All of it; what is unknown of one is unknown of the sum. None of them: all unknown."""
    spends = tuple(spends)
    usd = [spend.usd for spend in spends if spend.usd is not None]
    tokens = [spend.tokens for spend in spends if spend.tokens is not None]
    return Spend(
        turns=sum(spend.turns for spend in spends),
        tokens=sum(tokens) if spends and len(tokens) == len(spends) else None,
        usd=sum(usd) if spends and len(usd) == len(spends) else None,
    )


def at_least(spends: Iterable[Spend]) -> Spend:
    """What is known to be spent; None where nothing is known at all."""
    spends = tuple(spends)
    usd = [spend.usd for spend in spends if spend.usd is not None]
    tokens = [spend.tokens for spend in spends if spend.tokens is not None]
    return Spend(
        turns=sum(spend.turns for spend in spends),
        tokens=sum(tokens) if tokens else None,
        usd=sum(usd) if usd else None,
    )
