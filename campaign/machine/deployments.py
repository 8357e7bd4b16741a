"""What the end of a deployment does: what runs is a fact, whatever the phase."""

from __future__ import annotations

from dataclasses import replace

from campaign.machine import transitions
from campaign.machine.state import Campaign, Step
from campaign.model import (
    Auditing,
    Baseline,
    Confirming,
    Deployment,
    DeploymentFinished,
    Healing,
    Recovering,
    Repairing,
    TrialRecord,
)


def deployment_finished(campaign: Campaign, event: DeploymentFinished) -> Step:
    """Note it once; whatever was counted as clean before it starts anew."""
    record = campaign.record_of(event.trial)
    if record is None or _is_over(record, event.deployment):
        return Step(campaign)
    campaign = campaign.with_record(_with_end(record, event))
    if event.ok:
        campaign = campaign.evolve(revision=event.revision)
    step = _start_anew(campaign, event)
    return Step(step.campaign) if campaign.down else step


def _is_over(record: TrialRecord, deployment: str) -> bool:
    return any(known.id == deployment and known.ok is not None for known in record.deployments)


def _with_end(record: TrialRecord, event: DeploymentFinished) -> TrialRecord:
    """One that was asked for after its session was over may turn up here for the first time."""
    asked = [known for known in record.deployments if known.id == event.deployment]
    others = [known for known in record.deployments if known.id != event.deployment]
    if not asked and not event.ok:
        return record
    began_at = asked[0].requested_at if asked else event.at - event.duration_s
    ended = Deployment(
        id=event.deployment,
        revision=event.revision,
        requested_at=began_at,
        finished_at=event.at,
        ok=event.ok,
        reason=event.reason,
    )
    return replace(record, deployments=(*others, ended))


def _start_anew(campaign: Campaign, event: DeploymentFinished) -> Step:
    match campaign.phase:
        case Baseline() | Repairing() | Recovering() as phase:
            return Step(campaign.evolve(phase=replace(phase, clean_since=None)))
        case Confirming() | Auditing() if event.ok:
            return transitions.recover_again(campaign, at=event.at)
        case Healing(applied_at=float()) as phase if not campaign.down:
            return transitions.healed(campaign, phase, at=event.at)
        case _:
            return Step(campaign)


def give_up_on_unsettled(campaign: Campaign, reason: str, *, at: float) -> Campaign:
    """Nobody can say how they ended: not a success, and nothing to wait for."""
    deployments = tuple(
        replace(deployment, finished_at=at, ok=False, reason=f"outcome unknown: {reason}")
        if deployment.ok is None
        else deployment
        for deployment in campaign.trial.deployments
    )
    return campaign.with_trial(deployments=deployments)
