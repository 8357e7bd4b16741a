"""Colours, thresholds and words for values: one meaning, one colour, on all dashboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

GOOD, WARNING, BAD, NEUTRAL, QUIET = "green", "orange", "red", "blue", "text"

#: how trials end
VERDICT_COLORS: Mapping[str, str] = {
    "resolved": GOOD,
    "immune": NEUTRAL,
    "unresolved": BAD,
    "inconclusive": WARNING,
}
#: what invariants are judged to be
STATUS_COLORS: Mapping[str, str] = {
    "held": GOOD,
    "violated": BAD,
    "unknown": WARNING,
    "idle": "semi-dark-blue",
}
#: where a campaign is
PHASE_COLORS: Mapping[str, str] = {
    "preparing": "light-blue",
    "snapshotting": "super-light-blue",
    "baseline": "light-green",
    "growing": "yellow",
    "disturbed": "red",
    "repairing": "orange",
    "recovering": "light-orange",
    "confirming": "semi-dark-purple",
    "auditing": "light-purple",
    "healing": "green",
    "paused": "semi-dark-yellow",
    "finished": "semi-dark-green",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From this value on, this colour."""

    value: float
    color: str


def thresholds(*steps: Step, below: str = GOOD) -> ThresholdsConfig:
    """`below` is the colour of what is under the first step."""
    first = Threshold(value=None, color=below)
    rest = [Threshold(value=step.value, color=step.color) for step in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([first, *rest])


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a number means."""

    text: str
    color: str


def words(meanings: Mapping[int, Word]) -> list[ValueMapping]:
    results = {
        str(number): ValueMappingResult(text=word.text, color=word.color, index=index)
        for index, (number, word) in enumerate(meanings.items())
    }
    return [ValueMap(options=results)]


def numbered(colors: Mapping[str, str]) -> dict[int, Word]:
    """Words for `coded` values: 1 for the first of `colors`, and so on."""
    return {
        number: Word(text=name, color=color)
        for number, (name, color) in enumerate(colors.items(), start=1)
    }


def coded(series: str, label: str, values: Sequence[str], *, by: str = "") -> str:
    """PromQL that gives the number, from 1 on, of the one value whose series is 1.

    `by` is the label that tells several such sets apart. Without the series there is no number.
    """
    grouped = f" by ({by})" if by else ""
    terms = (
        f'{number} * max{grouped} ({series}{{{label}="{value}"}})'
        for number, value in enumerate(values, start=1)
    )
    return " + ".join(terms)


def color_of(color: str) -> DynamicConfigValue:
    """For an override: this series always has this colour."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})


def as_limit() -> list[DynamicConfigValue]:
    """For an override: a limit is a dashed red line with nothing under it."""
    return [
        color_of(BAD),
        DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}),
        DynamicConfigValue(id_val="custom.lineWidth", value=2),
        DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        DynamicConfigValue(id_val="custom.stacking", value={"mode": "none", "group": "limit"}),
    ]
