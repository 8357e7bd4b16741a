"""What a report needs of a folded campaign, by shape.

Reports know the model only. The fold itself is handed in: `campaign.machine.step` fits
`StepFunction` and its state fits `CampaignView`, so that a report shows what the machine decided
and decides nothing again.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias

from campaign.model import (
    Calibration,
    Confirming,
    Event,
    Finished,
    Invariant,
    LoadVector,
    Paused,
    Phase,
    Plan,
    Reading,
    TrialRecord,
)

State: TypeAlias = Literal["running", "paused", "stopped", "finished", "failed"]


class CampaignView(Protocol):
    """The state of a campaign after some event."""

    @property
    def plan(self) -> Plan: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def trial(self) -> TrialRecord: ...
    @property
    def done(self) -> tuple[TrialRecord, ...]: ...
    @property
    def at(self) -> float: ...
    @property
    def invariants(self) -> tuple[Invariant, ...]: ...
    @property
    def calibration(self) -> Calibration | None: ...
    @property
    def load(self) -> LoadVector: ...
    @property
    def readings(self) -> tuple[Reading, ...]: ...
    @property
    def stopped(self) -> bool: ...
    @property
    def restoring(self) -> bool: ...
    @property
    def trouble(self) -> str: ...
    @property
    def operator_away(self) -> bool: ...


class Stepped(Protocol):
    """What a step gives; `campaign.machine.Step` is one."""

    @property
    def campaign(self) -> CampaignView: ...


class StepFunction(Protocol):
    """The state after `event`; `campaign` is None before the first."""

    def __call__(self, campaign: Any, event: Event, /) -> Stepped: ...


def trials(campaign: CampaignView) -> tuple[TrialRecord, ...]:
    """Every trial that was begun, the one under way included."""
    if any(record.index == campaign.trial.index for record in campaign.done):
        return campaign.done
    return (*campaign.done, campaign.trial)


def started_at(campaign: CampaignView) -> float:
    """Epoch seconds of the campaign's first event."""
    return trials(campaign)[0].started_at


def state(campaign: CampaignView) -> State:
    match campaign.phase:
        case _ if failure(campaign):
            return "failed"
        case Finished():
            return "finished"
        case _ if campaign.stopped:
            return "stopped"
        case Paused():
            return "paused"
        case _:
            return "running"


def failure(campaign: CampaignView) -> str:
    """Why the harness gave up, for good or until it is resumed; empty when it did not."""
    if isinstance(campaign.phase, Finished):
        return campaign.phase.failure
    return "" if campaign.operator_away else campaign.trouble


def away(campaign: CampaignView) -> str:
    """Why the operator cannot be reached, which the campaign waits for; empty when it can."""
    return campaign.trouble if campaign.operator_away else ""


def phase_name(campaign: CampaignView) -> str:
    """The phase as a person would name it; `confirming` by its stage."""
    if campaign.stopped:
        return "stopped"
    if campaign.restoring:
        return "restoring"
    if isinstance(campaign.phase, Confirming):
        return f"confirming at {campaign.phase.stage} load"
    return campaign.phase.kind


def revision_after(record: TrialRecord) -> str:
    """What ran when the trial ended: its last successful deployment, or what it began with."""
    deployed = [deployment.revision for deployment in record.deployments if deployment.ok]
    return deployed[-1] if deployed else record.revision_before
