"""The offered load: by dimension in a trial, by behaviour across the campaign."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from campaign.model import LoadDimension, LoadVector, offered_hz
from reports.series import TrialHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One line of a trial's load."""

    dimension: LoadDimension
    #: offered already before the trial's own load came on top
    base: bool


def dimensions(trial: TrialHistory) -> tuple[Dimension, ...]:
    """The trial's full load as it was offered, or the base load when it never came to that."""
    base = trial.offered("baseline") or ()
    full = trial.offered("full")
    return tuple(
        Dimension(dimension=dimension, base=position < len(base))
        for position, dimension in enumerate(base if full is None else full)
    )


def total_hz(load: LoadVector | None) -> float | None:
    """Requests per second; None when it was never offered."""
    return None if load is None else offered_hz(load)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRow:
    """One behaviour: requests per second in each trial, None where full load never came."""

    behaviour: str
    rates_hz: tuple[float | None, ...]


def heatmap(trials: tuple[TrialHistory, ...]) -> tuple[HeatRow, ...]:
    """In the order in which the behaviours first appear."""
    columns = [_by_behaviour(trial.offered("full")) for trial in trials]
    behaviours = dict.fromkeys(name for column in columns if column for name in column)
    return tuple(
        HeatRow(
            behaviour=behaviour,
            rates_hz=tuple(
                None if column is None else column.get(behaviour, 0.0) for column in columns
            ),
        )
        for behaviour in behaviours
    )


def _by_behaviour(load: LoadVector | None) -> dict[str, float] | None:
    if load is None:
        return None
    rates: dict[str, float] = defaultdict(float)
    for dimension in load:
        rates[dimension.behaviour] += dimension.offered_hz
    return dict(rates)


def heat(rate_hz: float | None, hottest_hz: float) -> float:
    """0..1 by the square root, so that a trickle beside a flood is still seen."""
    if not rate_hz or not hottest_hz:
        return 0.0
    return float((rate_hz / hottest_hz) ** 0.5)
