"""What was measured during a trial and after it, apart: a repaired violation never looks clean."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.model import Invariant, Reading, Status
from reports.series import TrialHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One invariant in one trial; None is unknown."""

    invariant: Invariant
    #: the worst reading from full load until it was green, or until the end
    during: Reading | None
    #: evaluations that found it violated, of all that judged it
    violating: int
    judged: int
    #: the last reading before the trial ended
    after: Reading | None


def measured(trial: TrialHistory, invariants: tuple[Invariant, ...]) -> tuple[Measured, ...]:
    """One row per invariant; the violated ones first."""
    rows = [_measure(trial, invariant) for invariant in invariants]
    return tuple(sorted(rows, key=lambda row: row.violating == 0))


def _measure(trial: TrialHistory, invariant: Invariant) -> Measured:
    readings = [r for r in trial.readings_of(invariant.id) if _is_judged(r)]
    return Measured(
        invariant=invariant,
        during=worst(trial, invariant.id),
        violating=sum(reading.status is Status.VIOLATED for reading in readings),
        judged=len(readings),
        after=_named(trial.record.after, invariant.id),
    )


def worst(trial: TrialHistory, invariant: str) -> Reading | None:
    """What the record holds as the worst, or the highest that was judged under full load."""
    recorded = _named(trial.record.worst, invariant)
    seen = [reading for reading in _under_load(trial, invariant) if _is_judged(reading)]
    return max([*seen, *([recorded] if recorded else [])], key=_severity, default=None)


def _under_load(trial: TrialHistory, invariant: str) -> list[Reading]:
    since = trial.record.full_load_at
    confirmed = trial.record.confirmed_at is not None
    until = (trial.record.first_green_at if confirmed else None) or trial.until
    if since is None:
        return []
    return [
        reading
        for judgement in trial.judgements
        if since <= judgement.at <= until
        for reading in judgement.readings
        if reading.invariant == invariant
    ]


def _severity(reading: Reading) -> tuple[bool, float]:
    value = float("-inf") if reading.value is None else reading.value
    return (reading.status is Status.VIOLATED, value)


def _is_judged(reading: Reading) -> bool:
    return reading.status in (Status.HELD, Status.VIOLATED)


def _named(readings: tuple[Reading, ...], invariant: str) -> Reading | None:
    return next((reading for reading in readings if reading.invariant == invariant), None)
