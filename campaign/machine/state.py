"""The state of a campaign: what the fold over its journal gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    def evolve(self, **changes: Any) -> Campaign:
        return replace(self, **changes)

    def with_trial(self, **changes: Any) -> Campaign:
        return replace(self, trial=replace(self.trial, **changes))

    @property
    def profile(self) -> Profile:
        return self.plan.profiles[self.trial.index]

    @property
    def full_load(self) -> LoadVector:
        return self.base_load + self.scaled(self.profile, self.profile.load)

    @property
    def deploying(self) -> bool:
        return any(deployment.ok is None for deployment in self.trial.deployments)

    def scaled(self, profile: Profile, load: LoadVector) -> LoadVector:
        """The profile's load at this machine's rate."""
        if profile.scale == "none" or self.calibration is None:
            return load
        return scaled(load, self.calibration.rate_scale)


class Step(NamedTuple):
    """What follows from an event."""

    campaign: Campaign
    commands: tuple[Command, ...] = ()
