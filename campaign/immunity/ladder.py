"""The revisions that a campaign went through, and the trials that its app was immune in. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.errors import UsageError
from campaign.machine import Campaign
from campaign.model import Immune, TrialRecord
from campaign.replay import find_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A revision that ran at the beginning of some trial."""

    revision: str
    #: the trial that it came out of; None for the app as delivered
    made_in: TrialRecord | None


def rungs(campaign: Campaign, *, until: int | None = None) -> tuple[Rung, ...]:
    """Oldest first, each once; up to the one that trial `until` began with, or the last of all."""
    found: list[Rung] = []
    before: TrialRecord | None = None
    for trial in campaign.done:
        _add(found, trial.revision_before, before)
        if trial.index == until:
            return tuple(found)
        before = trial
    if before is not None:
        _add(found, _after(before), before)
    return tuple(found)


def _add(found: list[Rung], revision: str, made_in: TrialRecord | None) -> None:
    if all(rung.revision != revision for rung in found):
        found.append(Rung(revision=revision, made_in=made_in))


def _after(trial: TrialRecord) -> str:
    deployed = [deployment.revision for deployment in trial.deployments if deployment.ok]
    return deployed[-1] if deployed else trial.revision_before


def immune_trials(campaign: Campaign, wanted: str | None) -> tuple[TrialRecord, ...]:
    """The one that is wanted (by number or profile), or all that ended immune.

    Raises:
        UsageError: it was not played, was not immune, or its app had no earlier revisions.
    """
    plan = campaign.plan
    if plan.mode != "continuous":
        raise UsageError(
            f"campaign {plan.campaign} was played in mode {plan.mode}: no trial of it began with "
            "what an earlier one had made of the app",
            hint="immunity is looked for in continuous campaigns",
        )
    if wanted is None:
        return tuple(trial for trial in campaign.done if isinstance(trial.verdict, Immune))
    trial = find_trial(campaign, wanted)
    if not isinstance(trial.verdict, Immune):
        ended = "is not over" if trial.verdict is None else f"ended {trial.verdict.kind}"
        raise UsageError(
            f"trial {trial.index + 1}, {trial.profile}, {ended}: there is no immunity to explain",
            hint="leave the trial out for all that ended immune",
        )
    return (trial,)
