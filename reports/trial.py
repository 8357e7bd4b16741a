"""One trial as its section of the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from campaign.model import Inconclusive, Invariant, LoadVector, Profile, Reading, TrialRecord
from reports import loads, measured
from reports.actions import Act, acts
from reports.charts import Chart, charts
from reports.gates import Gates, gates
from reports.loads import Dimension
from reports.markers import Marker, markers
from reports.measured import Measured
from reports.series import TrialHistory
from reports.view import revision_after

Outcome: TypeAlias = Literal["resolved", "unresolved", "immune", "inconclusive", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One phase in the ribbon, as shares of the trial's whole length (0..1)."""

    name: str
    since_s: float
    length_s: float
    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A violated invariant in the verdict table."""

    invariant: Invariant
    worst: Reading | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPage:
    """Everything the template needs of one trial."""

    record: TrialRecord
    profile: Profile
    outcome: Outcome
    reason: str
    revision_after: str
    broken: tuple[Broken, ...]
    bands: tuple[Band, ...]
    markers: tuple[Marker, ...]
    charts: tuple[Chart, ...]
    measured: tuple[Measured, ...]
    dimensions: tuple[Dimension, ...]
    base_load: LoadVector | None
    full_load: LoadVector | None
    gates: Gates
    acts: tuple[Act, ...]
    length_s: float

    @property
    def number(self) -> int:
        return self.record.index + 1

    @property
    def is_lost(self) -> bool:
        """Worth unfolding first."""
        return self.outcome in ("unresolved", "inconclusive", "running")

    @property
    def no_time(self) -> str:
        """Why a time to detect or repair is missing, when it is."""
        if self.record.violated_at is not None:
            return "unknown: it was never green again"
        return "not yet" if self.outcome == "running" else "nothing was violated"

    @property
    def base_hz(self) -> float | None:
        return loads.total_hz(self.base_load)

    @property
    def full_hz(self) -> float | None:
        return loads.total_hz(self.full_load)


def trial_page(trial: TrialHistory, invariants: tuple[Invariant, ...]) -> TrialPage:
    record = trial.record
    return TrialPage(
        record=record,
        profile=trial.profile,
        outcome="running" if record.verdict is None else record.verdict.kind,
        reason=verdict_reason(record),
        revision_after=revision_after(record),
        broken=_broken(trial, invariants),
        bands=_bands(trial),
        markers=markers(record),
        charts=charts(trial, invariants),
        measured=measured.measured(trial, invariants),
        dimensions=loads.dimensions(trial),
        base_load=trial.offered("baseline"),
        full_load=trial.offered("full"),
        gates=gates(record),
        acts=acts(trial),
        length_s=trial.until - record.started_at,
    )


def verdict_reason(record: TrialRecord) -> str:
    """Why it ended so; an inconclusive trial names the part of the harness at fault."""
    match record.verdict:
        case None:
            return ""
        case Inconclusive(fault=fault, reason=reason):
            return f"{fault}: {reason}"
        case verdict:
            return verdict.reason


def _broken(trial: TrialHistory, invariants: tuple[Invariant, ...]) -> tuple[Broken, ...]:
    return tuple(
        Broken(invariant=invariant, worst=measured.worst(trial, invariant.id))
        for invariant in invariants
        if invariant.id in trial.record.violated
    )


def _bands(trial: TrialHistory) -> tuple[Band, ...]:
    origin = trial.record.started_at
    length = trial.until - origin
    if length <= 0:
        return ()
    return tuple(
        Band(
            name=span.name,
            since_s=span.since - origin,
            length_s=span.until - span.since,
            left=(span.since - origin) / length,
            width=(span.until - span.since) / length,
        )
        for span in trial.spans
        if span.until > span.since
    )
