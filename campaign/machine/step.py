"""`step(campaign, event)`: the only place where a campaign's state changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from campaign.machine import sessions, transitions
from campaign.machine.phases import on_evaluated
from campaign.machine.state import Campaign, Step
from campaign.model import (
    ActionTaken,
    ApplyLoad,
    Baseline,
    CampaignStarted,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    Confirming,
    ContinueRequested,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Disturbed,
    Evaluated,
    Event,
    Fault,
    Finished,
    Growing,
    Healing,
    LoadApplied,
    Paused,
    PauseRequested,
    PrepareStack,
    Preparing,
    Recovering,
    Repairing,
    Resumed,
    SessionEnded,
    StackFailed,
    StackReady,
    StopRequested,
    TicketResolved,
    TrialRecord,
)


def start(event: CampaignStarted) -> Step:
    """The first event makes the campaign."""
    plan = event.plan
    blank = TrialRecord(
        index=0, profile=plan.profiles[0].id, started_at=event.at, revision_before=""
    )
    campaign = Campaign(
        plan=plan,
        phase=Preparing(since=event.at),
        trial=blank,
        at=event.at,
        base_load=plan.base_load,
        invariants=plan.invariants,
    )
    return transitions.begin_trial(campaign, 0, at=event.at)


def fold(events: Iterable[Event]) -> Campaign | None:
    """The state that a journal's events lead to; None for an empty journal."""
    campaign: Campaign | None = None
    for event in events:
        campaign = step(campaign, event).campaign
    return campaign


def step(campaign: Campaign | None, event: Event) -> Step:
    """What `event` does to `campaign`.

    Raises:
        ValueError: the first event does not start a campaign.
    """
    if campaign is None:
        if not isinstance(event, CampaignStarted):
            raise ValueError(f"a journal starts with campaign_started, not with {event.kind}")
        return start(event)
    campaign = campaign.evolve(at=max(campaign.at, event.at))
    if isinstance(campaign.phase, Finished):
        return Step(campaign)
    if campaign.stopped or campaign.restoring:
        return _while_down(campaign, event)
    return _dispatch(campaign, event)


def _while_down(campaign: Campaign, event: Event) -> Step:
    """Stopped, or resumed with the stack not up yet: only a few things can happen."""
    match event:
        case Resumed():
            return _resumed(campaign, at=event.at)
        case StackReady() if campaign.restoring:
            ready = _stack_ready(campaign, event).evolve(restoring=False)
            return _take_up(ready, at=event.at)
        case StackFailed() if campaign.restoring:
            return transitions.finish_broken(campaign, _failure(event), at=event.at)
        case StopRequested():
            return Step(campaign.evolve(stopped=True, restoring=False))
        case DeploymentFinished():
            return Step(sessions.deployment_finished(campaign, event))
        case _:
            return Step(campaign)


def _dispatch(campaign: Campaign, event: Event) -> Step:  # noqa: C901, PLR0911, PLR0912 - one case an event
    if _is_late(campaign, event):
        if isinstance(event, DeploymentFinished):
            return Step(sessions.deployment_finished(campaign, event))
        return Step(campaign)
    match event:
        case Evaluated():
            return on_evaluated(campaign, event)
        case StackReady():
            ready = _stack_ready(campaign, event)
            if not isinstance(campaign.phase, Preparing):
                return Step(ready)
            return transitions.enter_baseline(ready, at=event.at)
        case StackFailed():
            return transitions.finish_broken(campaign, _failure(event), at=event.at)
        case DataGrown():
            if not isinstance(campaign.phase, Growing):
                return Step(campaign)
            return transitions.enter_disturbed(campaign, at=event.at)
        case LoadApplied():
            return _load_applied(campaign, event)
        case CommandFailed():
            return _command_failed(campaign, event)
        case ComponentDown():
            return _component_down(campaign, event)
        case ComponentUp():
            return Step(campaign, _offer_again(campaign))
        case ActionTaken() | DeploymentRequested() | TicketResolved():
            return Step(sessions.session_did(campaign, event))
        case DeploymentFinished():
            return Step(sessions.deployment_finished(campaign, event))
        case SessionEnded():
            return sessions.session_ended(campaign, event)
        case PauseRequested():
            return Step(campaign.evolve(pausing=True))
        case ContinueRequested():
            return _continue(campaign.evolve(pausing=False), at=event.at)
        case StopRequested():
            return _stop(campaign)
        case Resumed():
            return _resumed(campaign, at=event.at)
        case CampaignStarted():
            return Step(campaign)
        case _ as never:
            assert_never(never)


def _is_late(campaign: Campaign, event: Event) -> bool:
    """It belongs to a trial that is over."""
    return getattr(event, "trial", campaign.trial.index) != campaign.trial.index


def _failure(event: StackFailed) -> str:
    return f"{event.component}: {event.reason}"


def _stack_ready(campaign: Campaign, event: StackReady) -> Campaign:
    """The first calibration counts for the whole campaign."""
    first = campaign.first_revision or event.revision
    if isinstance(campaign.phase, Preparing):
        campaign = campaign.with_trial(revision_before=event.revision)
    if campaign.calibration is not None:
        return campaign.evolve(revision=event.revision, first_revision=first)
    return campaign.evolve(
        revision=event.revision,
        first_revision=first,
        invariants=event.invariants,
        calibration=event.calibration,
    )


def _load_applied(campaign: Campaign, event: LoadApplied) -> Step:
    match campaign.phase:
        case Baseline() | Disturbed() | Confirming() as phase if phase.load_id == event.load_id:
            campaign = campaign.evolve(phase=replace(phase, applied_at=event.at), readings=())
            if isinstance(phase, Disturbed):
                campaign = campaign.with_trial(full_load_at=event.at)
            return Step(campaign)
        case Healing() as phase if phase.load_id == event.load_id:
            return transitions.next_trial(campaign, at=event.at)
        case _:
            return Step(campaign)


def _command_failed(campaign: Campaign, event: CommandFailed) -> Step:
    """Executors retry what can be retried; what reaches the core is the harness's fault."""
    match campaign.phase:
        case Healing():
            return transitions.next_trial(campaign, at=event.at)
        case Paused():
            return Step(campaign)
        case Preparing():
            reason = f"{event.component}: {event.reason}"
            return transitions.finish_broken(campaign, reason, at=event.at)
        case _:
            return transitions.blame(campaign, event.component, event.reason, at=event.at)


def _component_down(campaign: Campaign, event: ComponentDown) -> Step:
    match campaign.phase:
        case Growing() | Disturbed() | Repairing() | Recovering() | Confirming():
            return transitions.blame(campaign, event.component, event.reason, at=event.at)
        case Baseline() as phase:
            fault = Fault(component=event.component, reason=event.reason, at=event.at)
            campaign = campaign.with_trial(faults=(*campaign.trial.faults, fault))
            return Step(campaign.evolve(phase=replace(phase, since=event.at, clean_since=None)))
        case _:
            return Step(campaign)


def _offer_again(campaign: Campaign) -> tuple[ApplyLoad, ...]:
    """A generator that was restarted offers nothing until told."""
    trial = campaign.trial.index
    match campaign.phase:
        case Baseline() | Healing() | Disturbed() | Confirming() as phase:
            return (ApplyLoad(id=phase.load_id, trial=trial, load=campaign.load),)
        case Preparing() | Finished():
            return ()
        case _:
            return (ApplyLoad(id=f"t{trial}-again", trial=trial, load=campaign.load),)


def _continue(campaign: Campaign, *, at: float) -> Step:
    if isinstance(campaign.phase, Paused):
        return transitions.begin_trial(campaign, campaign.trial.index + 1, at=at)
    return Step(campaign)


def _stop(campaign: Campaign) -> Step:
    """The shell cancels what is at work and heals the load when it sees `stopped`."""
    return Step(campaign.evolve(stopped=True))


def _resumed(campaign: Campaign, *, at: float) -> Step:
    """Bring the stack back first; the phase is taken up when it is ready."""
    down_for = at - campaign.at
    if isinstance(campaign.phase, Repairing):
        deadline = campaign.phase.deadline + max(0.0, down_for)
        campaign = campaign.evolve(phase=replace(campaign.phase, deadline=deadline))
    campaign = campaign.evolve(stopped=False, pausing=False, readings=())
    if isinstance(campaign.phase, Preparing):
        return transitions.prepare(campaign.evolve(restoring=False), at=at)
    command = PrepareStack(trial=campaign.trial.index, fresh=False, revision=campaign.revision)
    return Step(campaign.evolve(restoring=True), (command,))


def _take_up(campaign: Campaign, *, at: float) -> Step:
    """How each phase restarts once the stack is back."""
    again = _offer_again(campaign)
    match campaign.phase:
        case Preparing() | Baseline():
            return transitions.enter_baseline(campaign, at=at)
        case Growing():
            step = transitions.enter_growing(campaign, at=at)
            return Step(step.campaign, (*again, *step.commands))
        case Disturbed():
            return transitions.enter_disturbed(campaign, at=at)
        case Repairing() as phase:
            step = sessions.take_up_repair(campaign, phase, at=at)
            return Step(step.campaign, (*again, *step.commands))
        case Recovering():
            return Step(campaign.evolve(phase=Recovering(since=at)), again)
        case Confirming():
            return transitions.enter_confirming(campaign, at=at)
        case Healing():
            return transitions.heal(campaign, at=at)
        case Paused():
            return transitions.begin_trial(campaign, campaign.trial.index + 1, at=at)
        case Finished():
            return Step(campaign)
        case _ as never:
            assert_never(never)
