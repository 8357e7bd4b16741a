"""Proof that a profile does what it says: red on the unmodified app, green with its fix.

Limits come from the invariants' file and the calibration, never from the run that is judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from campaign.machine import Campaign
from campaign.model import Disturbed, Event, Immune, Profile, Reading, Status, TrialRecord

#: a fix must leave this much room below the limit
REQUIRED_MARGIN = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The worst value of one named invariant in one run; None was never measured."""

    invariant: str
    value: float | None
    limit: float

    @property
    def margin(self) -> float | None:
        """Limit over value: above 1 it held; infinite when nothing at all was seen."""
        if self.value is None:
            return None
        if self.value <= 0:
            return float("inf")
        return self.limit / self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a profile, with the unmodified app (red) or with its fix (green)."""

    verdict: str
    reason: str
    measured: tuple[Measured, ...]
    #: what speaks against the proof; empty when nothing does
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All runs of one profile."""

    profile: str
    red: tuple[Run, ...]
    green: tuple[Run, ...]

    @property
    def proven(self) -> bool:
        runs = (*self.red, *self.green)
        return bool(self.red and self.green) and not any(run.problem for run in runs)


@dataclass(slots=True)
class Worst:
    """An observer that keeps the worst reading of each invariant under full load."""

    readings: dict[str, Reading] = field(default_factory=dict)

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        del event
        if before is None or not isinstance(before.phase, Disturbed):
            return
        if before.phase.applied_at is None:
            return
        since = before.phase.applied_at + after.plan.timings.warm_up_s
        for reading in after.readings:
            self._keep(reading, since=since)

    def _keep(self, reading: Reading, *, since: float) -> None:
        if reading.status not in (Status.HELD, Status.VIOLATED):
            return
        if reading.measured_at is None or reading.measured_at < since:
            return
        kept = self.readings.get(reading.invariant)
        if kept is None or (reading.value or 0.0) > (kept.value or 0.0):
            self.readings[reading.invariant] = reading


def red_run(profile: Profile, trial: TrialRecord, worst: Iterable[Reading]) -> Run:
    """The unmodified app must violate every invariant that the profile names."""
    measured = _measured(profile, (*worst, *trial.worst))
    unbroken = [m.invariant for m in measured if m.margin is None or m.margin >= 1]
    if not trial.violated:
        problem = f"nothing was violated: {_verdict(trial)}"
    else:
        problem = f"not violated: {', '.join(unbroken)}" if unbroken else ""
    return _run(trial, measured, problem)


def green_run(profile: Profile, trial: TrialRecord, worst: Iterable[Reading]) -> Run:
    """With its fix nothing is violated, and the named invariants have room to spare."""
    measured = _measured(profile, worst)
    tight = [m.invariant for m in measured if m.margin is None or m.margin < REQUIRED_MARGIN]
    if not isinstance(trial.verdict, Immune):
        problem = f"not held with the fix: {', '.join(trial.violated) or _verdict(trial)}"
    else:
        problem = f"less than {REQUIRED_MARGIN:g}x margin: {', '.join(tight)}" if tight else ""
    return _run(trial, measured, problem)


def _measured(profile: Profile, readings: Iterable[Reading]) -> tuple[Measured, ...]:
    worst: dict[str, Reading] = {}
    for reading in readings:
        kept = worst.get(reading.invariant)
        if kept is None or (reading.value or 0.0) > (kept.value or 0.0):
            worst[reading.invariant] = reading
    return tuple(
        Measured(
            invariant=name,
            value=worst[name].value if name in worst else None,
            limit=worst[name].limit if name in worst else 0.0,
        )
        for name in profile.breaks
    )


def _run(trial: TrialRecord, measured: tuple[Measured, ...], problem: str) -> Run:
    verdict = trial.verdict
    return Run(
        verdict="none" if verdict is None else verdict.kind,
        reason="" if verdict is None else verdict.reason,
        measured=measured,
        problem=problem,
    )


def _verdict(trial: TrialRecord) -> str:
    verdict = trial.verdict
    return "no verdict" if verdict is None else f"{verdict.kind} ({verdict.reason})"
