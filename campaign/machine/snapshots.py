"""Keeping the state that a trial starts in. The campaign never fails for want of a copy."""

from __future__ import annotations

from dataclasses import replace

from campaign.machine import transitions
from campaign.machine.state import Campaign, Step
from campaign.model import CommandFailed, Evaluated, SnapshotTaken, Snapshotting, TakeSnapshot

#: a copy that takes longer is not waited for, seconds
_PATIENCE_S = 90.0


def load_is_off(campaign: Campaign, phase: Snapshotting, *, at: float) -> Step:
    """Now the state can be copied; a load that is taken off twice starts no second copy."""
    if phase.applied_at is not None:
        return Step(campaign)
    trial = campaign.trial.index
    command = TakeSnapshot(id=f"t{trial}-snapshot", trial=trial)
    return Step(campaign.evolve(phase=replace(phase, applied_at=at)), (command,))


def taken(campaign: Campaign, event: SnapshotTaken) -> Step:
    """One that comes after the patience was over is not the state that the trial started in."""
    if not isinstance(campaign.phase, Snapshotting):
        return Step(campaign)
    campaign = campaign.with_trial(snapshot=event.snapshot)
    return transitions.enter_baseline(campaign, at=event.at)


def failed(campaign: Campaign, event: CommandFailed) -> Step:
    return _go_on_without(campaign, f"{event.component}: {event.reason}", at=event.at)


def watch(campaign: Campaign, phase: Snapshotting, event: Evaluated) -> Step:
    """Go on without a copy that nobody hears of."""
    if event.at - phase.since < _PATIENCE_S:
        return Step(campaign)
    return _go_on_without(campaign, f"it took longer than {_PATIENCE_S:g} s", at=event.at)


def _go_on_without(campaign: Campaign, reason: str, *, at: float) -> Step:
    return transitions.enter_baseline(campaign.with_trial(snapshot_failure=reason), at=at)
