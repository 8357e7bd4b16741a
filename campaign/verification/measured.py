"""What was measured of the app that a trial began with, while the load was on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from campaign.machine import Campaign
from campaign.model import (
    Disturbed,
    Evaluated,
    Event,
    Invariant,
    Profile,
    Reading,
    Recovering,
    Repairing,
    Status,
)
from chaos_profiles.quantiles import p95_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The worst of one named invariant in one run; a value of None was never measured."""

    invariant: str
    unit: str
    limit: float
    value: float | None = None
    #: of a latency invariant: L, and the worst p95 of the requests that it judges
    latency_limit_s: float | None = None
    p95_s: float | None = None

    @property
    def broken(self) -> bool:
        return self.value is not None and self.value > self.limit

    @property
    def margin(self) -> float | None:
        """How many times it could be worse before it breaks; below 1 it is broken.

        Infinite when nothing at all was seen, None when it was not measured. Of a latency it is
        L over the p95: a fraction slower than L says nothing of the room below L. What must be
        zero (its limit is) has either all the room or none.
        """
        if self.value is None:
            return None
        if self.latency_limit_s is not None and not self.broken:
            return None if self.p95_s is None else _times(self.latency_limit_s, self.p95_s)
        return _times(self.limit, self.value)

    @property
    def room(self) -> float:
        """Of a latency: how many times L the worst p95 could be."""
        if self.latency_limit_s is None or self.p95_s is None:
            return float("inf")
        return _times(self.latency_limit_s, self.p95_s)


def _times(limit: float, value: float) -> float:
    return float("inf") if value <= 0 else limit / value


class Watcher:
    """An observer that keeps each trial's readings of the app that it began with, at full load."""

    def __init__(self) -> None:
        self._seen: dict[int, list[Reading]] = {}

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        if before is None or not isinstance(event, Evaluated) or not _still_as_it_began(before):
            return
        kept = self._seen.setdefault(before.trial.index, [])
        kept += (r for r in after.readings if r.status in (Status.HELD, Status.VIOLATED))

    def of(self, trial: int) -> Sequence[Reading]:
        return self._seen.get(trial, ())


def _still_as_it_began(campaign: Campaign) -> bool:
    """Full load, and nothing was deployed in the trial."""
    if not isinstance(campaign.phase, Disturbed | Repairing | Recovering):
        return False
    return campaign.trial.full_load_at is not None and campaign.trial.last_deployed_at is None


def worst_values(seen: Iterable[Reading], *, since: float) -> Mapping[str, float]:
    """The worst value of each invariant, and of each p95 beside one, measured from `since` on."""
    worst: dict[str, float] = {}
    for reading in seen:
        if reading.value is None or reading.measured_at is None or reading.measured_at < since:
            continue
        known = worst.get(reading.invariant, reading.value)
        worst[reading.invariant] = max(known, reading.value)
    return worst


def measure(
    profile: Profile, invariants: Mapping[str, Invariant], worst: Mapping[str, float]
) -> tuple[Measured, ...]:
    """What the profile names."""
    return tuple(_measured(invariants[name], worst) for name in profile.breaks)


def tightest(
    profile: Profile, invariants: Mapping[str, Invariant], worst: Mapping[str, float]
) -> Measured | None:
    """Of the latencies that the profile does not name, the one with the least room below L.

    None when none of them was measured.
    """
    others = (one for one in invariants.values() if one.id not in profile.breaks)
    measured = [_measured(one, worst) for one in others if p95_name(one.id) in worst]
    return min(measured, key=lambda one: one.room, default=None)


def _measured(invariant: Invariant, worst: Mapping[str, float]) -> Measured:
    return Measured(
        invariant=invariant.id,
        unit=invariant.unit,
        limit=invariant.limit,
        value=worst.get(invariant.id),
        latency_limit_s=invariant.latency_limit_s,
        p95_s=worst.get(p95_name(invariant.id)),
    )
