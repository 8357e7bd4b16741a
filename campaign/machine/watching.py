"""From raw samples to what the phases ask: which are violated, is it clean, is it in doubt."""

from __future__ import annotations

from campaign.machine.state import Campaign
from campaign.model import Evaluated, Reading, Status, Symptom, judge
from campaign.model.phase import Streaks

#: A violation is at least this many violating evaluations in a row.
VIOLATING_EVALUATIONS = 2


def judge_all(campaign: Campaign, event: Evaluated) -> tuple[Reading, ...]:
    """One reading of each invariant, in the plan's order."""
    samples = {sample.invariant: sample for sample in event.samples}
    starved = campaign.plan.generator_limits.starved(event.generator)
    return tuple(
        judge(
            invariant,
            samples.get(invariant.id),
            at=event.at,
            freshness_s=campaign.plan.timings.freshness_s,
            starved=starved,
        )
        for invariant in campaign.invariants
    )


def fresh_readings(
    before: tuple[Reading, ...], now: tuple[Reading, ...], *, since: float
) -> tuple[Reading, ...]:
    """Those whose evaluation is new and lies after `since`; each evaluation counts once."""
    seen = {reading.invariant: reading.measured_at for reading in before}
    return tuple(
        reading
        for reading in now
        if reading.measured_at is not None
        and reading.measured_at >= since
        and reading.measured_at != seen.get(reading.invariant)
    )


def count_streaks(
    streaks: Streaks, now: tuple[Reading, ...], fresh: tuple[Reading, ...]
) -> Streaks:
    """Violating evaluations in a row; anything else, doubt included, starts anew."""
    counted = dict(streaks)
    for reading in now:
        if reading.status is not Status.VIOLATED:
            counted.pop(reading.invariant, None)
    for reading in fresh:
        if reading.status is Status.VIOLATED:
            counted[reading.invariant] = counted.get(reading.invariant, 0) + 1
    return counted


def violated(streaks: Streaks) -> tuple[str, ...]:
    return tuple(name for name, count in streaks.items() if count >= VIOLATING_EVALUATIONS)


def is_clean(readings: tuple[Reading, ...], *, must_hold: tuple[str, ...] = ()) -> bool:
    """Something holds, nothing is violated or in doubt, and `must_hold` are not merely idle."""
    statuses = {reading.invariant: reading.status for reading in readings}
    if any(status in (Status.VIOLATED, Status.UNKNOWN) for status in statuses.values()):
        return False
    if any(statuses.get(name) is not Status.HELD for name in must_hold):
        return False
    return Status.HELD in statuses.values()


def clean_since(
    earlier: float | None, readings: tuple[Reading, ...], *, at: float, must_hold: tuple[str, ...]
) -> float | None:
    """When the clean stretch that goes on at `at` began; None when it is not clean."""
    if not is_clean(readings, must_hold=must_hold):
        return None
    return at if earlier is None else earlier


def doubt(readings: tuple[Reading, ...], missing: str) -> str:
    """Why this evaluation says less than it should; empty when it does not."""
    unknown = [reading for reading in readings if reading.status is Status.UNKNOWN]
    if not unknown:
        return ""
    return missing or f"{unknown[0].invariant}: {unknown[0].reason}"


def violated_now(readings: tuple[Reading, ...]) -> tuple[str, ...]:
    return tuple(reading.invariant for reading in readings if reading.status is Status.VIOLATED)


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
    titles = {invariant.id: invariant.title for invariant in campaign.invariants}
    return tuple(
        Symptom(
            invariant=reading.invariant,
            title=titles[reading.invariant],
            value=reading.value,
            limit=reading.limit,
            since=since,
        )
        for reading in campaign.readings
        if reading.invariant in names
    )
