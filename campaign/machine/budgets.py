"""What the next session may cost: what is left of its ticket's budget and of the campaign's."""

from __future__ import annotations

from typing import TypeVar

from campaign.machine.state import Campaign
from campaign.model import Budget, Spend, at_least

_Amount = TypeVar("_Amount", int, float)


def left(campaign: Campaign, *, wall_s: float) -> Budget:
    """For a session that starts now. What is not known to be spent counts as not spent."""
    ticket, whole = at_least(campaign.trial.spends), spent_by_all(campaign)
    budget, limit = campaign.plan.budget, campaign.plan.campaign_budget
    return Budget(
        wall_s=wall_s,
        turns=None if budget.turns is None else max(0, budget.turns - ticket.turns),
        tokens=_tighter(
            _less(budget.tokens, ticket.tokens or 0), _less(limit.tokens, whole.tokens or 0)
        ),
        usd=_tighter(_less(budget.usd, ticket.usd or 0.0), _less(limit.usd, whole.usd or 0.0)),
    )


def spent_by_all(campaign: Campaign) -> Spend:
    """What is known to be spent by all sessions of all trials."""
    earlier = [record for record in campaign.done if record.index != campaign.trial.index]
    return at_least(spend for record in (*earlier, campaign.trial) for spend in record.spends)


def used_up(campaign: Campaign) -> str:
    """Which budget leaves nothing for a further session, in words; empty: there is some left."""
    ticket, whole = at_least(campaign.trial.spends), spent_by_all(campaign)
    budget, limit = campaign.plan.budget, campaign.plan.campaign_budget
    known: tuple[tuple[float | None, float | None, str], ...] = (
        (limit.usd, whole.usd, f"the campaign's ${limit.usd or 0:.2f}"),
        (limit.tokens, whole.tokens, f"the campaign's {limit.tokens} tokens"),
        (budget.usd, ticket.usd, f"the ticket's ${budget.usd or 0:.2f}"),
        (budget.tokens, ticket.tokens, f"the ticket's {budget.tokens} tokens"),
        (budget.turns, ticket.turns, f"the ticket's {budget.turns} turns"),
    )
    return next(
        (name for most, spent, name in known if most is not None and (spent or 0) >= most), ""
    )


def _less(budget: _Amount | None, spent: _Amount) -> _Amount | None:
    return None if budget is None else max(budget - budget, budget - spent)


def _tighter(one: _Amount | None, other: _Amount | None) -> _Amount | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
