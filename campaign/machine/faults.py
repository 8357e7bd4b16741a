"""Faults of the harness: never the operator's, and never a pass."""

from __future__ import annotations

from dataclasses import replace

from campaign.machine import deployments, transitions
from campaign.machine.state import Campaign, Step
from campaign.model import (
    Baseline,
    CommandFailed,
    ComponentDown,
    Confirming,
    Disturbed,
    Fault,
    Growing,
    Healing,
    Preparing,
    Recovering,
    Repairing,
    StackFailed,
)

#: After each of these the baseline is waited for afresh; a part that keeps failing is not.
_TOLERATED_FAULTS = 3


def stack_failed(campaign: Campaign, event: StackFailed) -> Step:
    if not isinstance(campaign.phase, Preparing):
        return Step(campaign)
    failure = f"{event.component}: {event.reason}"
    return transitions.give_up(campaign, failure, at=event.at)


def command_failed(campaign: Campaign, event: CommandFailed) -> Step:
    """Executors retry what can be retried; what reaches the core is the harness's fault."""
    if event.command == "settle_deployments":
        campaign = deployments.give_up_on_unsettled(campaign, event.reason, at=event.at)
    match campaign.phase:
        case Healing() as phase:
            return transitions.healed(campaign, phase, at=event.at)
        case Growing() | Disturbed() | Recovering() | Confirming() if event.command == "session":
            return Step(campaign)  # of a session that was ended before
        case _:
            return _harness_failed(campaign, event)


def component_down(campaign: Campaign, event: ComponentDown) -> Step:
    return _harness_failed(campaign, event)


def _harness_failed(campaign: Campaign, event: CommandFailed | ComponentDown) -> Step:
    """Before the trial's own load is on it may still pass; after, it spoils the trial."""
    match campaign.phase:
        case Baseline() as phase:
            return _baseline_disturbed(campaign, phase, event)
        case Growing() | Disturbed() | Repairing() | Recovering() | Confirming():
            return transitions.blame(campaign, event.component, event.reason, at=event.at)
        case _:
            return Step(campaign)


def _baseline_disturbed(
    campaign: Campaign, phase: Baseline, event: CommandFailed | ComponentDown
) -> Step:
    fault = Fault(component=event.component, reason=event.reason, at=event.at)
    campaign = campaign.with_trial(faults=(*campaign.trial.faults, fault))
    patient = len(campaign.trial.faults) <= _TOLERATED_FAULTS
    since = event.at if patient else phase.since
    return Step(campaign.evolve(phase=replace(phase, since=since, clean_since=None)))
