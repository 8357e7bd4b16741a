"""What an operator's session does to the trial."""

from __future__ import annotations

from campaign.machine import transitions
from campaign.machine.state import Campaign, Step
from campaign.model import (
    ActionTaken,
    Deployment,
    DeploymentRequested,
    Repairing,
    SessionEnded,
    SessionOutcome,
    Spend,
    TicketResolved,
)


def session_did(
    campaign: Campaign, event: ActionTaken | DeploymentRequested | TicketResolved
) -> Campaign:
    """Note it, if it is the session that has the ticket now."""
    if not _is_current(campaign, event.ticket, event.session):
        return campaign
    trial = campaign.trial
    if trial.first_action_at is None:
        campaign = campaign.with_trial(first_action_at=event.at)
    match event:
        case ActionTaken(edit=True) if trial.first_edit_at is None:
            return campaign.with_trial(first_edit_at=event.at)
        case DeploymentRequested():
            return _deployment_requested(campaign, event)
        case TicketResolved():
            return campaign.with_trial(resolved_at=event.at, root_cause=event.root_cause)
        case _:
            return campaign


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


def session_ended(campaign: Campaign, event: SessionEnded) -> Step:
    if not _is_current(campaign, event.ticket, event.session):
        return Step(campaign)
    campaign = campaign.with_trial(spend=_add(campaign.trial.spend, event.spend))
    if event.outcome is SessionOutcome.RESOLVED and campaign.trial.resolved_at is None:
        campaign = campaign.with_trial(resolved_at=event.at)
    assert isinstance(campaign.phase, Repairing)  # noqa: S101 - _is_current says so
    end = f"{event.outcome} ({event.reason})" if event.reason else str(event.outcome)
    return transitions.enter_recovering(
        campaign, at=event.at, session_end=end, clean=campaign.phase.clean_since
    )


def take_up_repair(campaign: Campaign, phase: Repairing, *, at: float) -> Step:
    """After a crash: a fresh session, unless the ticket was resolved already."""
    if campaign.trial.resolved_at is not None:
        return transitions.enter_recovering(campaign, at=at, session_end="resolved", clean=None)
    return transitions.start_session(campaign, at=at, deadline=phase.deadline)


def _add(one: Spend, other: Spend) -> Spend:
    def total(a: float | None, b: float | None) -> float | None:
        return None if a is None and b is None else (a or 0) + (b or 0)

    tokens = total(one.tokens, other.tokens)
    return Spend(
        turns=one.turns + other.turns,
        tokens=None if tokens is None else int(tokens),
        usd=total(one.usd, other.usd),
    )
