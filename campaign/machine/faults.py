"""Faults of the harness: never the operator's, and never a pass."""

from __future__ import annotations

from dataclasses import replace

from campaign.machine import deployments, snapshots, transitions
from campaign.machine.state import Campaign, Step
from campaign.model import (
    Auditing,
    Baseline,
    CommandFailed,
    ComponentDown,
    Confirming,
    Disturbed,
    Fault,
    Growing,
    Healing,
    Phase,
    Preparing,
    Recovering,
    Repairing,
    Snapshotting,
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
        case Snapshotting():
            return snapshots.failed(campaign, event)
        case phase if _is_over(phase, event.command):
            return Step(campaign)
        case _:
            return _harness_failed(campaign, event)


def _is_over(phase: Phase, command: str) -> bool:
    """What failed was ended before, or is waited for no more."""
    match command, phase:
        case "session", Growing() | Disturbed() | Recovering() | Confirming() | Auditing():
            return True
        case "run_gates", _:
            return not isinstance(phase, Auditing)
        case "take_snapshot", _:
            return True
        case _:
            return False


def component_down(campaign: Campaign, event: ComponentDown) -> Step:
    """Whose work others do at once is no fault; what its absence spoils is seen in the metrics."""
    if event.covered:
        return Step(campaign)
    return _harness_failed(campaign, event)


def _harness_failed(campaign: Campaign, event: CommandFailed | ComponentDown) -> Step:
    """Before the trial's own load is on it may still pass; after, it spoils the trial."""
    match campaign.phase:
        case Baseline() as phase:
            return _baseline_disturbed(campaign, phase, event)
        case Growing() | Disturbed() | Repairing() | Recovering() | Confirming() | Auditing():
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
