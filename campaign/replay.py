"""One trial of a past campaign once more: the state it started in, and what came of it.

Pure: events and plans in, plans and comparisons out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from campaign.choices import Choices, require_sound
from campaign.errors import UsageError
from campaign.machine import Campaign, step
from campaign.model import Event, Origin, Plan, SnapshotTaken, TrialRecord
from campaign.orders import require_heeded, require_operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a journal says of one of its trials."""

    #: when its snapshot was taken: the code, the base load, the limits of that moment
    beginning: Campaign
    #: all that is known of it by the journal's end
    trial: TrialRecord


def recorded(events: Sequence[Event], wanted: str) -> Recorded:
    """The trial with that number (from 1), or with that profile.

    Raises:
        UsageError: there is no such trial, or nothing to replay it from; the message says why.
    """
    campaign: Campaign | None = None
    beginnings: dict[int, Campaign] = {}
    for event in events:
        campaign = step(campaign, event).campaign
        if isinstance(event, SnapshotTaken) and campaign.trial.snapshot == event.snapshot:
            beginnings[campaign.trial.index] = campaign
    if campaign is None:
        raise UsageError("the campaign has no events yet")
    trial = find_trial(campaign, wanted)
    if trial.index not in beginnings:
        raise _no_state(campaign, trial)
    return Recorded(beginning=beginnings[trial.index], trial=trial)


def find_trial(campaign: Campaign, wanted: str) -> TrialRecord:
    """The trial with that number (from 1), or with that profile; raises UsageError."""
    trials = _begun(campaign)
    for trial in trials:
        if wanted in (str(trial.index + 1), trial.profile):
            return trial
    named = ", ".join(f"{trial.index + 1} {trial.profile}" for trial in trials)
    raise UsageError(
        f"campaign {campaign.plan.campaign} has played no trial {wanted}",
        hint=f"it played: {named}",
    )


def _begun(campaign: Campaign) -> tuple[TrialRecord, ...]:
    return (*(r for r in campaign.done if r.index != campaign.trial.index), campaign.trial)


def _no_state(campaign: Campaign, trial: TrialRecord) -> UsageError:
    name = f"trial {trial.index + 1}, {trial.profile},"
    alone = f"play it alone: ratchet trial {trial.profile}"
    if campaign.plan.mode != "continuous":
        mode = campaign.plan.mode
        hint = alone
        if mode == "replay" and campaign.plan.origin is not None:
            hint = f"replay the original: ratchet replay {campaign.plan.origin.campaign}"
        return UsageError(f"{name} was played in mode {mode}, which keeps no snapshots", hint=hint)
    if trial.snapshot_failure:
        why = f"its snapshot could not be taken: {trial.snapshot_failure}"
    elif campaign.plan.snapshots:
        why = "it never got as far as its snapshot"
    else:
        why = "the campaign was played with --no-snapshots"
    return UsageError(f"{name} cannot be replayed: {why}", hint=alone)


def plan_of(
    past: Recorded, *, campaign: str, operator: str | None, choices: Choices | None = None
) -> Plan:
    """The plan of a replay: everything as it was, but for the operator (None: the same one).

    Raises:
        UsageError: there is no such operator, or what was chosen for it cannot be.
    """
    beginning = past.beginning
    plan = beginning.plan
    choices = choices or Choices()
    options = choices.options(plan.operator_options)
    budget = choices.budget(plan.budget)
    campaign_budget = choices.campaign_budget(plan.campaign_budget)
    require_sound(options, budget, campaign_budget)
    require_operator(operator or plan.operator, options)
    require_heeded(operator or plan.operator, choices)
    snapshot = past.trial.snapshot
    assert snapshot is not None  # noqa: S101 - its beginning is the moment it was taken
    return Plan(
        campaign=campaign,
        target=plan.target,
        mode="replay",
        operator=operator or plan.operator,
        seed=plan.seed,
        profiles=(beginning.profile,),
        invariants=plan.invariants,
        base_load=beginning.base_load,
        timings=plan.timings,
        budget=budget,
        campaign_budget=campaign_budget,
        operator_options=options,
        generator_limits=plan.generator_limits,
        origin=Origin(
            campaign=plan.campaign,
            revision=beginning.revision,
            first_revision=beginning.first_revision,
            calibration=beginning.calibration,
            trial=past.trial.index,
            snapshot=snapshot.id,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether the replayed trial went wrong in the way the recorded one did."""

    recorded: tuple[str, ...]
    replayed: tuple[str, ...]
    #: the invariants that the recorded ticket was opened for
    detected: tuple[str, ...]

    @property
    def same(self) -> bool:
        """What the ticket was opened for is violated again; or nothing is, as then.

        What else an incident drags along depends on how long it lasts, which the operator decides.
        """
        if not self.recorded:
            return not self.replayed
        return not set(self.replayed).isdisjoint(self.detected)

    def told(self) -> str:
        """One line for people."""
        if self.same and not self.recorded:
            return "as recorded, nothing was violated"
        again = _names(name for name in self.replayed if name in self.recorded)
        if self.same:
            return f"violated again: {again}"
        return f"recorded was {_names(self.recorded)}, violated now was {_names(self.replayed)}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "same": self.same}


def compare(recorded_trial: TrialRecord, replayed: TrialRecord) -> Comparison:
    ticket = recorded_trial.ticket
    symptoms = () if ticket is None else ticket.symptoms
    return Comparison(
        recorded=recorded_trial.violated,
        replayed=replayed.violated,
        detected=tuple(symptom.invariant for symptom in symptoms),
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
