"""What a violation at a trial's end is called: the incident itself, a regression, or new."""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum

from campaign.machine.state import Campaign
from campaign.model import Immune, Inconclusive, Resolved, TrialRecord


class Origin(StrEnum):
    """Where a violation comes from, in the words of a verdict."""

    AGAIN = "violated again"
    REGRESSION = "regression"
    LEFT = "left broken by an earlier trial"
    NEW = "newly violated"


def relapse(campaign: Campaign, names: tuple[str, ...], when: str) -> str:
    """`regression at full load: lost_tokens (write_contention)`: `names` by where they come from.

    The profile in brackets is the earlier trial's that proved the invariant.
    """
    sorted_out: dict[Origin, list[str]] = defaultdict(list)
    for name in names:
        sorted_out[_origin(campaign, name)].append(_with_profile(campaign, name))
    return "; ".join(
        f"{origin} {when}: {', '.join(sorted_out[origin])}"
        for origin in Origin
        if origin in sorted_out
    )


def not_recovered(campaign: Campaign, names: tuple[str, ...]) -> str:
    """`did not recover: …`, and apart from it what the repair broke."""
    regressed = [name for name in names if _origin(campaign, name) is Origin.REGRESSION]
    others = [name for name in names if name not in regressed]
    named = [_with_profile(campaign, name) for name in regressed]
    parts = (("did not recover", others), (Origin.REGRESSION, named))
    return "; ".join(f"{what}: {', '.join(which)}" for what, which in parts if which)


def correctness(campaign: Campaign) -> frozenset[str]:
    """The invariants that a repair may not trade for speed."""
    return frozenset(each.id for each in campaign.invariants if each.kind == "correctness")


def _origin(campaign: Campaign, name: str) -> Origin:
    """Of what is correct or not, only what the trial itself exposed is its own incident."""
    if name in campaign.trial.baseline_red or _is_the_incident(campaign, name):
        return Origin.AGAIN
    earlier = _earlier(campaign, name)
    if earlier is not None:
        proved = isinstance(earlier.verdict, Resolved | Immune)
        return Origin.REGRESSION if proved else Origin.LEFT
    broke_correctness = name in correctness(campaign) and name not in campaign.profile.breaks
    return Origin.REGRESSION if broke_correctness else Origin.NEW


def _is_the_incident(campaign: Campaign, name: str) -> bool:
    trial = campaign.trial
    if name not in trial.violated:
        return False
    if name not in correctness(campaign) or name in campaign.profile.breaks:
        return True
    at_first = trial.ticket.symptoms if trial.ticket else ()
    on_the_ticket = any(symptom.invariant == name for symptom in at_first)
    return on_the_ticket and _earlier(campaign, name) is None


def _earlier(campaign: Campaign, name: str) -> TrialRecord | None:
    """The last trial before this one that put the invariant to the test; isolated ones had none."""
    if campaign.plan.mode == "isolated":
        return None
    tests = (record for record in reversed(campaign.done) if _tested(campaign, record, name))
    return next(tests, None)


def _tested(campaign: Campaign, record: TrialRecord, name: str) -> bool:
    concerned = (*record.violated, *campaign.plan.profiles[record.index].breaks)
    return name in concerned and not isinstance(record.verdict, Inconclusive)


def _with_profile(campaign: Campaign, name: str) -> str:
    if _origin(campaign, name) is not Origin.REGRESSION:
        return name
    earlier = _earlier(campaign, name)
    return name if earlier is None else f"{name} ({earlier.profile})"
