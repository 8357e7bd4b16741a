"""`step(campaign, event)`: the only place where a campaign's state changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from campaign.machine import auditing, faults, restart, sessions, snapshots, transitions
from campaign.machine.deployments import deployment_finished
from campaign.machine.phases import on_evaluated
from campaign.machine.state import Campaign, Step
from campaign.model import (
    AccessRefused,
    ActionTaken,
    ApprovalAnswered,
    ApprovalAsked,
    AssertionJudged,
    Auditing,
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
    Finished,
    GatesFinished,
    Growing,
    Healing,
    LoadApplied,
    MessageSent,
    NoteWritten,
    Paused,
    PauseRequested,
    PlanFiled,
    Preparing,
    Repairing,
    Resumed,
    SessionEnded,
    SnapshotTaken,
    Snapshotting,
    SpendNoted,
    StackFailed,
    StackReady,
    StopRequested,
    TicketAcknowledged,
    TicketResolved,
    TrialRecord,
)


def start(event: CampaignStarted) -> Step:
    """The first event makes the campaign.

    Raises:
        ValueError: the plan has no profile to play.
    """
    plan = event.plan
    if not plan.profiles:
        raise ValueError("a plan needs at least one profile")
    blank = TrialRecord(
        index=0, profile=plan.profiles[0].id, started_at=event.at, revision_before=""
    )
    campaign = Campaign(
        plan=plan,
        phase=Preparing(since=event.at),
        trial=blank,
        at=event.at,
        ticked_at=event.at,
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
        ValueError: the first event does not start a campaign that can be played.
    """
    if campaign is None:
        if not isinstance(event, CampaignStarted):
            raise ValueError(f"a journal starts with campaign_started, not with {event.kind}")
        return start(event)
    campaign = campaign.evolve(at=max(campaign.at, event.at))
    if isinstance(campaign.phase, Finished):
        return Step(campaign)
    if campaign.down:
        return restart.while_down(campaign, event)
    if _is_late(campaign, event):
        return Step(campaign)
    return _dispatch(campaign, event)


def _is_late(campaign: Campaign, event: Event) -> bool:
    """A reply to a trial that is over. What is true of the world is never late."""
    if isinstance(
        event, ComponentDown | ComponentUp | DeploymentFinished | SpendNoted | SessionEnded
    ):
        return False
    return getattr(event, "trial", campaign.trial.index) != campaign.trial.index


def _dispatch(campaign: Campaign, event: Event) -> Step:  # noqa: C901, PLR0911, PLR0912 - one case an event
    match event:
        case Evaluated():
            return on_evaluated(campaign, event)
        case StackReady():
            return _stack_ready(campaign, event)
        case StackFailed():
            return faults.stack_failed(campaign, event)
        case SnapshotTaken():
            return snapshots.taken(campaign, event)
        case DataGrown():
            return _data_grown(campaign, event)
        case LoadApplied():
            return _load_applied(campaign, event)
        case CommandFailed():
            return faults.command_failed(campaign, event)
        case ComponentDown():
            return faults.component_down(campaign, event)
        case ComponentUp():
            return Step(campaign, restart.offer_again(campaign))
        case ActionTaken() | TicketAcknowledged() | DeploymentRequested() | TicketResolved():
            return Step(sessions.session_did(campaign, event))
        case SpendNoted():
            return Step(sessions.spend_noted(campaign, event))
        case PlanFiled() | NoteWritten() | MessageSent() | ApprovalAsked() | ApprovalAnswered():
            return Step(campaign)  # for the session, its successors and the report
        case AccessRefused():
            return Step(campaign)  # nothing came of it
        case DeploymentFinished():
            return deployment_finished(campaign, event)
        case SessionEnded():
            return sessions.session_ended(campaign, event)
        case AssertionJudged():
            return auditing.assertion_judged(campaign, event)
        case GatesFinished():
            return auditing.gates_finished(campaign, event)
        case PauseRequested():
            return Step(campaign.evolve(pausing=True))
        case ContinueRequested():
            return _continue(campaign.evolve(pausing=False), at=event.at)
        case StopRequested():
            return Step(campaign.evolve(stopped=True))  # the shell ends what is at work
        case Resumed():
            return restart.resumed(campaign, at=event.at)
        case CampaignStarted():
            return Step(campaign)
        case _ as never:
            assert_never(never)


def _stack_ready(campaign: Campaign, event: StackReady) -> Step:
    """The first calibration counts for the whole campaign."""
    if not isinstance(campaign.phase, Preparing):
        return Step(campaign)
    if campaign.calibration is None:
        origin = campaign.plan.origin
        campaign = campaign.evolve(
            first_revision=event.revision if origin is None else origin.first_revision,
            invariants=event.invariants,
            calibration=event.calibration,
        )
    campaign = campaign.with_trial(revision_before=event.revision)
    campaign = campaign.evolve(revision=event.revision, ticked_at=event.at)
    return transitions.open_trial(campaign, at=event.at)


def _data_grown(campaign: Campaign, event: DataGrown) -> Step:
    if not isinstance(campaign.phase, Growing):
        return Step(campaign)
    return transitions.enter_disturbed(campaign, at=event.at)


def _load_applied(campaign: Campaign, event: LoadApplied) -> Step:
    """Only the base load may be offered anew (to a generator that was restarted)."""
    phase = campaign.phase
    if getattr(phase, "load_id", None) != event.load_id:
        return Step(campaign)
    match phase:
        case Healing():
            return transitions.healed(campaign, phase, at=event.at)
        case Repairing():
            return sessions.load_is_back(campaign, phase, at=event.at)
        case Snapshotting():
            return snapshots.load_is_off(campaign, phase, at=event.at)
        case Auditing(applied_at=None):
            return auditing.begin(campaign, phase, at=event.at)
        case Disturbed(applied_at=None):
            campaign = campaign.with_trial(full_load_at=event.at)
        case Baseline() | Confirming(applied_at=None):
            pass
        case _:
            return Step(campaign)
    return Step(campaign.evolve(phase=replace(phase, applied_at=event.at), readings=()))


def _continue(campaign: Campaign, *, at: float) -> Step:
    if isinstance(campaign.phase, Paused):
        return transitions.begin_trial(campaign, campaign.trial.index + 1, at=at)
    return Step(campaign)
