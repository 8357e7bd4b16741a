"""From raw samples to what the phases ask: which are violated, is it clean, is it in doubt."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.machine import operations
from campaign.machine.state import Campaign
from campaign.model import Evaluated, Reading, Status, Symptom, judge
from campaign.model.invariant import STARVED, UNDER_FLOOR
from campaign.model.phase import Streaks
from campaign.model.plan import Timings

#: A violation is at least this many violating evaluations in a row.
VIOLATING_EVALUATIONS = 2

#: So many times over the limit is more than a load's first second can do to a window.
SEVERE = 10

#: The `Doubt.fault` of what a generator in good health offered and nobody answered.
APP = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why an evaluation is no proof that all is well, although nothing is violated."""

    #: the part at fault: metrics, loadgen or `APP`
    fault: str
    reason: str


def judge_all(campaign: Campaign, event: Evaluated) -> tuple[Reading, ...]:
    """One reading of each invariant, in the plan's order."""
    samples = {sample.invariant: sample for sample in event.samples}
    starved = campaign.plan.generator_limits.starved(event.generator)
    freshness_s = campaign.plan.timings.freshness_s
    return tuple(
        [
            judge(
                invariant,
                samples.get(invariant.id),
                at=event.at,
                freshness_s=freshness_s,
                starved=starved,
            )
            for invariant in campaign.invariants
        ]
    )


def count_streaks(
    streaks: Streaks,
    before: tuple[Reading, ...],
    now: tuple[Reading, ...],
    *,
    since: float,
    timings: Timings,
) -> Streaks:
    """Violating evaluations in a row; anything else, doubt included, starts anew.

    Prometheus's evaluation counts once, however often it was seen, and only when it lies behind
    the warm-up of the load that is on `since` then. While its window still reaches back into the
    warm-up it counts only when severe: connections are opened and caches filled there.
    """
    warm_at = since + timings.warm_up_s
    settled_at = warm_at + timings.range_s
    violating = [reading for reading in now if reading.status is Status.VIOLATED]
    if not violating:
        return {}
    seen = {reading.invariant: reading.measured_at for reading in before}
    counted: Streaks = {}
    for reading in violating:
        name, measured_at = reading.invariant, reading.measured_at
        counts_from = warm_at if _severe(reading) else settled_at
        counts = measured_at is not None and measured_at >= counts_from
        counted[name] = streaks.get(name, 0) + (counts and measured_at != seen.get(name))
    return counted


def _severe(reading: Reading) -> bool:
    return reading.value is not None and reading.value >= SEVERE * reading.limit


def violated(streaks: Streaks) -> tuple[str, ...]:
    return tuple(name for name, count in streaks.items() if count >= VIOLATING_EVALUATIONS)


def red_now(readings: tuple[Reading, ...]) -> tuple[str, ...]:
    """Violated, or swallowed by the app: offered by a healthy generator and not observed."""
    return tuple(
        reading.invariant
        for reading in readings
        if reading.status is Status.VIOLATED or reading.reason == UNDER_FLOOR
    )


def violated_now(readings: tuple[Reading, ...]) -> tuple[str, ...]:
    return tuple(reading.invariant for reading in readings if reading.status is Status.VIOLATED)


def is_clean(readings: tuple[Reading, ...], *, must_hold: tuple[str, ...] = ()) -> bool:
    """Something holds, nothing is violated or in doubt, and `must_hold` are not merely idle."""
    held = {reading.invariant for reading in readings if reading.status is Status.HELD}
    if not held or not held.issuperset(must_hold):
        return False
    return len(held) == len(readings) or all(
        reading.status is Status.IDLE for reading in readings if reading.invariant not in held
    )


def clean_since(
    earlier: float | None, readings: tuple[Reading, ...], *, at: float, must_hold: tuple[str, ...]
) -> float | None:
    """When the clean stretch that goes on at `at` began; None when it is not clean."""
    if not is_clean(readings, must_hold=must_hold):
        return None
    return at if earlier is None else earlier


def doubt(
    readings: tuple[Reading, ...], missing: str, *, must_hold: tuple[str, ...] = ()
) -> Doubt | None:
    """Why it is neither clean nor violated; None when it is one of the two."""
    for reading in readings:
        if reading.status is Status.UNKNOWN:
            reason = missing or f"{reading.invariant}: {reading.reason}"
            return Doubt(fault=_fault(reading), reason=reason)
        if reading.status is Status.IDLE and reading.invariant in must_hold:
            reason = f"{reading.invariant}: too little load of its kind was offered"
            return Doubt(fault="loadgen", reason=reason)
    if all(reading.status is Status.IDLE for reading in readings):
        return Doubt(fault="loadgen", reason="no load was offered")
    return None


def _fault(reading: Reading) -> str:
    return {STARVED: "loadgen", UNDER_FLOOR: APP}.get(reading.reason, "metrics")


def keep_worst(worst: tuple[Reading, ...], readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """The highest value seen of each violated invariant."""
    kept = {reading.invariant: reading for reading in worst}
    for reading in readings:
        if reading.status is not Status.VIOLATED:
            continue
        held = kept.get(reading.invariant)
        if held is None or (reading.value or 0.0) > (held.value or 0.0):
            kept[reading.invariant] = reading
    return tuple(kept.values())


def symptoms(campaign: Campaign, names: tuple[str, ...], *, since: float) -> tuple[Symptom, ...]:
    """What a pager would say of the violated invariants."""
    invariants = {invariant.id: invariant for invariant in campaign.invariants}
    known = operations.named(invariant.select for invariant in campaign.invariants)
    return tuple(
        Symptom(
            invariant=reading.invariant,
            title=invariants[reading.invariant].title,
            value=reading.value,
            limit=reading.limit,
            since=since,
            unit=invariants[reading.invariant].unit,
            operations=operations.judged(invariants[reading.invariant].select, known=known),
        )
        for reading in campaign.readings
        if reading.invariant in names
    )
