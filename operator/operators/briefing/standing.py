"""How a ticket's symptoms stand at this moment, for whoever reads it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from campaign.model import Reading, Status, Symptom
from campaign.model.invariant import UNDER_FLOOR
from operators.briefing.ticket import amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One symptom, and what was measured of it last; None: nothing could be."""

    symptom: Symptom
    reading: Reading | None


def standing_text(standings: Sequence[Standing]) -> str:
    """A line for each symptom; empty for none."""
    if not standings:
        return ""
    return "\n".join(("How that stands now:", *map(_line, standings)))


def _line(standing: Standing) -> str:
    symptom = standing.symptom
    return f"- {symptom.invariant}: {_state(symptom, standing.reading)}"


def _state(symptom: Symptom, reading: Reading | None) -> str:
    """Never better than what is known; why it is not known is the harness's own affair."""
    if reading is None:
        return "not known"
    measured = (
        f"{amount(reading.value, symptom.unit)} (limit {amount(reading.limit, symptom.unit)})"
    )
    match reading.status:
        case Status.HELD:
            return f"within bounds, {measured}"
        case Status.VIOLATED:
            return f"out of bounds, {measured}"
        case Status.IDLE:
            return "not known: too little load of its kind"
        case Status.UNKNOWN if reading.reason == UNDER_FLOOR:
            return "not known: the service answers too little of what it is asked"
        case Status.UNKNOWN:
            return "not known"
