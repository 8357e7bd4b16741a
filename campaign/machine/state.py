"""The state of a campaign: what the fold over its journal gives."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, NamedTuple

from campaign.model import (
    Calibration,
    Command,
    Invariant,
    LoadVector,
    Phase,
    Plan,
    Profile,
    Reading,
    TrialRecord,
    scaled,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """All that is known; changed only by `evolve`, only in `step`."""

    plan: Plan
    phase: Phase
    trial: TrialRecord
    #: the last event's time
    at: float
    #: the last evaluation's time: the clock that budgets and clean periods run by
    ticked_at: float
    done: tuple[TrialRecord, ...] = ()
    #: the base load, grown by what earlier trials proved
    base_load: LoadVector = ()
    #: with their calibrated limits; the plan's own until the stack is ready
    invariants: tuple[Invariant, ...] = ()
    calibration: Calibration | None = None
    #: what runs now, and the app as it was delivered
    revision: str = ""
    first_revision: str = ""
    #: what the generator was last told to offer
    load: LoadVector = ()
    readings: tuple[Reading, ...] = ()
    #: hold before the next trial
    pausing: bool = False
    stopped: bool = False
    #: resumed, and the stack is not up yet
    restoring: bool = False
    #: why it stopped without being told to; empty otherwise
    trouble: str = ""
    #: the trouble: the operator cannot be reached; its ticket waits for a fresh session
    operator_away: bool = False

    def evolve(self, **changes: Any) -> Campaign:
        """`dataclasses.replace`, at half its price: this is most of what a fold does."""
        return Campaign(**{**dict(zip(_NAMES, _values(self), strict=True)), **changes})

    def with_trial(self, **changes: Any) -> Campaign:
        return self.evolve(trial=replace(self.trial, **changes))

    @property
    def profile(self) -> Profile:
        return self.plan.profiles[self.trial.index]

    @property
    def full_load(self) -> LoadVector:
        return self.base_load + self.scaled(self.profile, self.profile.load)

    @property
    def down(self) -> bool:
        """Nothing is acted upon: stopped, or the stack is being brought back."""
        return self.stopped or self.restoring

    @property
    def deploying(self) -> bool:
        return any(deployment.ok is None for deployment in self.trial.deployments)

    def record_of(self, trial: int) -> TrialRecord | None:
        """The trial at hand or one that was played; None for one that did not begin."""
        if trial == self.trial.index:
            return self.trial
        return self.done[trial] if 0 <= trial < len(self.done) else None

    def with_record(self, record: TrialRecord) -> Campaign:
        done = tuple(record if known.index == record.index else known for known in self.done)
        if record.index == self.trial.index:
            return self.evolve(trial=record, done=done)
        return self.evolve(done=done)

    def scaled(self, profile: Profile, load: LoadVector) -> LoadVector:
        """The profile's load at this machine's rate."""
        if profile.scale == "none" or self.calibration is None:
            return load
        return scaled(load, self.calibration.rate_scale)


_NAMES = tuple(field.name for field in fields(Campaign))
_values = attrgetter(*_NAMES)


class Step(NamedTuple):
    """What follows from an event."""

    campaign: Campaign
    commands: tuple[Command, ...] = ()
