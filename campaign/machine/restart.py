"""After a stop or a crash: the stack first, then the phase, in its own way."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from campaign.machine import deployments, sessions, transitions
from campaign.machine.state import Campaign, Step
from campaign.model import (
    ApplyLoad,
    Auditing,
    Baseline,
    CloseTrial,
    Confirming,
    ContinueRequested,
    DeploymentFinished,
    Disturbed,
    Event,
    Finished,
    Growing,
    Healing,
    Paused,
    PauseRequested,
    PrepareStack,
    Preparing,
    Recovering,
    Repairing,
    Resumed,
    Snapshotting,
    SpendNoted,
    StackFailed,
    StackReady,
    StopRequested,
)


def resumed(campaign: Campaign, *, at: float) -> Step:
    """Bring the stack back first; the phase is taken up when it is ready."""
    campaign = _hold_budget(campaign, at=at)
    campaign = campaign.evolve(
        stopped=False, pausing=False, readings=(), trouble="", operator_away=False
    )
    if isinstance(campaign.phase, Preparing):
        return transitions.prepare(campaign.evolve(restoring=False), at=at)
    command = PrepareStack(trial=campaign.trial.index, fresh=False, revision=campaign.revision)
    return Step(campaign.evolve(restoring=True), (command,))


def _hold_budget(campaign: Campaign, *, at: float) -> Campaign:
    """A ticket's wall time stands still while nobody could work on it."""
    down_s = max(0.0, at - campaign.ticked_at)
    campaign = campaign.evolve(ticked_at=max(at, campaign.ticked_at))
    if not isinstance(campaign.phase, Repairing):
        return campaign
    phase = replace(campaign.phase, deadline=campaign.phase.deadline + down_s)
    return campaign.evolve(phase=phase)


def while_down(campaign: Campaign, event: Event) -> Step:
    """Stopped, or resumed with the stack not up yet: only a few things can happen."""
    match event:
        case Resumed():
            return resumed(campaign, at=event.at)
        case StackReady() if campaign.restoring:
            return _take_up(_restored(campaign, event), at=event.at)
        case StackFailed() if campaign.restoring:
            failure = f"{event.component}: {event.reason}"
            return transitions.give_up(campaign, failure, at=event.at)
        case StopRequested():
            return Step(campaign.evolve(stopped=True, restoring=False))
        case PauseRequested() | ContinueRequested():
            return Step(campaign.evolve(pausing=isinstance(event, PauseRequested)))
        case DeploymentFinished():
            return deployments.deployment_finished(campaign, event)
        case SpendNoted():
            return Step(sessions.spend_noted(campaign, event))
        case _:
            return Step(campaign)


def _restored(campaign: Campaign, event: StackReady) -> Campaign:
    campaign = _hold_budget(campaign, at=event.at)
    return campaign.evolve(revision=event.revision, restoring=False)


def offer_again(campaign: Campaign) -> tuple[ApplyLoad, ...]:
    """A generator that was restarted offers nothing until told."""
    trial = campaign.trial.index
    match campaign.phase:
        case Baseline() | Healing() | Disturbed() | Confirming() | Auditing() as phase:
            return (ApplyLoad(id=phase.load_id, trial=trial, load=campaign.load),)
        case Preparing() | Snapshotting(applied_at=float()) | Finished():
            return ()
        case Snapshotting() as phase:
            return (ApplyLoad(id=phase.load_id, trial=trial, load=campaign.load),)
        case _:
            return (ApplyLoad(id=_again(campaign), trial=trial, load=campaign.load),)


def _again(campaign: Campaign) -> str:
    return f"t{campaign.trial.index}-again"


def _take_up(campaign: Campaign, *, at: float) -> Step:  # noqa: C901, PLR0911 - one case a phase
    """How each phase restarts once the stack is back."""
    match campaign.phase:
        case Preparing() | Baseline():
            return transitions.enter_baseline(campaign, at=at)
        case Snapshotting():
            return transitions.enter_snapshotting(campaign, at=at)
        case Growing():
            return _under_load(campaign, transitions.enter_growing(campaign, at=at))
        case Disturbed():
            return transitions.enter_disturbed(campaign, at=at)
        case Repairing() as phase:
            taken_up = sessions.take_up_repair(campaign, phase, load_id=_again(campaign), at=at)
            return _under_load(campaign, taken_up)
        case Recovering():
            return _under_load(campaign, transitions.recover_again(campaign, at=at))
        case Confirming():
            return transitions.enter_confirming(campaign, at=at)
        case Auditing() as phase:
            return transitions.enter_auditing(campaign, at=at, broken=phase.broken)
        case Healing():
            step = transitions.heal(campaign, at=at)
            closing = CloseTrial(trial=campaign.trial.index)
            return Step(step.campaign, (*step.commands, closing))
        case Paused():
            return transitions.begin_trial(campaign, campaign.trial.index + 1, at=at)
        case Finished():
            return Step(campaign)
        case _ as never:
            assert_never(never)


def _under_load(before: Campaign, step: Step) -> Step:
    """The load that was on comes back first."""
    return Step(step.campaign, (*offer_again(before), *step.commands))
