"""What an operator's session does to the trial."""

from __future__ import annotations

from dataclasses import replace

from campaign.machine import budgets, transitions
from campaign.machine.state import Campaign, Step
from campaign.model import (
    ActionTaken,
    Deployment,
    DeploymentRequested,
    Repairing,
    SessionEnded,
    SessionOutcome,
    Spend,
    SpendNoted,
    TicketAcknowledged,
    TicketResolved,
)

#: calls of these concern the ticket alone: they find nothing out and change nothing
_PAPERWORK = frozenset({"read_ticket", "acknowledge", "file_plan", "write_note"})


def session_did(
    campaign: Campaign,
    event: ActionTaken | TicketAcknowledged | DeploymentRequested | TicketResolved,
) -> Campaign:
    """Note it, if it is the session that has the ticket now."""
    if not _is_current(campaign, event.ticket, event.session):
        return campaign
    trial = campaign.trial
    if trial.first_action_at is None and _is_act(event):
        campaign = campaign.with_trial(first_action_at=event.at)
    match event:
        case TicketAcknowledged() if trial.acknowledged_at is None:
            return campaign.with_trial(acknowledged_at=event.at)
        case ActionTaken(edit=True) if trial.first_edit_at is None:
            return campaign.with_trial(first_edit_at=event.at)
        case DeploymentRequested():
            return _deployment_requested(campaign, event)
        case TicketResolved():
            return campaign.with_trial(
                resolved_at=event.at, root_cause=event.root_cause, places=event.places
            )
        case _:
            return campaign


def _is_act(event: ActionTaken | TicketAcknowledged | DeploymentRequested | TicketResolved) -> bool:
    match event:
        case ActionTaken():
            return event.tool not in _PAPERWORK
        case TicketAcknowledged():
            return False
        case _:
            return True


def _is_current(campaign: Campaign, ticket: str, session: int) -> bool:
    held = campaign.trial.ticket
    at_work = isinstance(campaign.phase, Repairing)
    return at_work and held is not None and (held.id, campaign.trial.sessions) == (ticket, session)


def _deployment_requested(campaign: Campaign, event: DeploymentRequested) -> Campaign:
    known = campaign.trial.deployments
    if any(deployment.id == event.deployment for deployment in known):
        return campaign
    deployment = Deployment(id=event.deployment, revision=event.revision, requested_at=event.at)
    return campaign.with_trial(deployments=(*known, deployment))


def spend_noted(campaign: Campaign, event: SpendNoted | SessionEnded) -> Campaign:
    """The session's newest word on what it cost counts, also when the session is over.

    An end that says nothing of it (a crash of the operator's) leaves what was noted before.
    """
    record = campaign.record_of(event.trial)
    if record is None or record.ticket is None or record.ticket.id != event.ticket:
        return campaign
    if event.spend == Spend() or not 1 <= event.session <= len(record.spends):
        return campaign
    before, after = record.spends[: event.session - 1], record.spends[event.session :]
    return campaign.with_record(replace(record, spends=(*before, event.spend, *after)))


def session_ended(campaign: Campaign, event: SessionEnded) -> Step:
    campaign = spend_noted(campaign, event)
    if not _is_current(campaign, event.ticket, event.session):
        return Step(campaign)
    unresolved = campaign.trial.resolved_at is None
    if event.outcome is SessionOutcome.UNAVAILABLE and unresolved:
        reason = event.reason or "it did not say why"
        return transitions.wait_for_operator(campaign, reason)
    if event.outcome is SessionOutcome.RESOLVED and campaign.trial.resolved_at is None:
        campaign = campaign.with_trial(resolved_at=event.at)
    assert isinstance(campaign.phase, Repairing)  # noqa: S101 - _is_current says so
    end = transitions.session_end(event.outcome, event.reason)
    return transitions.enter_recovering(
        campaign, at=event.at, session_end=end, clean=campaign.phase.clean_since
    )


def take_up_repair(campaign: Campaign, phase: Repairing, *, load_id: str, at: float) -> Step:
    """After a crash: a fresh session once the load is back, unless the ticket was resolved already.

    `load_id`: the load that is about to be offered again.
    """
    if campaign.trial.resolved_at is not None:
        return transitions.enter_recovering(campaign, at=at, session_end="resolved", clean=None)
    if budgets.used_up(campaign):
        return transitions.start_session(campaign, at=at, deadline=phase.deadline)
    waiting = replace(phase, since=at, load_id=load_id, clean_since=None, streaks={})
    return Step(campaign.evolve(phase=waiting))


def load_is_back(campaign: Campaign, phase: Repairing, *, at: float) -> Step:
    """A session never sees a service that nobody uses; what that took is not its time."""
    deadline = phase.deadline + max(0.0, at - phase.since)
    return transitions.start_session(campaign, at=at, deadline=deadline)
