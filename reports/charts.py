"""What the page's charts are drawn from: plain JSON values, times relative to the trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from campaign.model import Invariant, Reading, Status, Timings
from reports import words
from reports.markers import markers
from reports.series import Judgement, TrialHistory
from reports.summary import finite

#: one letter an evaluation; a gap is time in which nothing was evaluated
_LETTERS = {Status.HELD: "h", Status.VIOLATED: "v", Status.UNKNOWN: "u", Status.IDLE: "i"}
_GAP = "-"
#: this many evaluations missing in a row are a gap, not a straight line
_GAP_EVALUATIONS = 5
_DIGITS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One invariant over one trial."""

    invariant: Invariant
    #: where its line is found in the trial's data
    line: int
    ever_violated: bool
    #: what a reader who cannot see the canvas is told
    description: str


def charts(trial: TrialHistory, invariants: tuple[Invariant, ...]) -> tuple[Chart, ...]:
    return tuple(
        Chart(
            invariant=invariant,
            line=line,
            ever_violated=trial.was_violated(invariant.id),
            description=_describe(trial, invariant),
        )
        for line, invariant in enumerate(invariants)
    )


def _describe(trial: TrialHistory, invariant: Invariant) -> str:
    readings = trial.readings_of(invariant.id)
    judged = [r for r in readings if r.status in (Status.HELD, Status.VIOLATED)]
    highest = max((r.value for r in judged if r.value is not None), default=None)
    violated = sum(reading.status is Status.VIOLATED for reading in readings)
    return (
        f"{invariant.title}: highest {words.quantity(highest, invariant.unit)}, "
        f"limit {words.quantity(invariant.limit, invariant.unit)}; "
        f"violated in {violated} of {words.plural(len(readings), 'evaluation')}"
    )


def chart_data(
    trial: TrialHistory, invariants: tuple[Invariant, ...], timings: Timings
) -> dict[str, Any]:
    """`times` in seconds; of each line, `values` (None: nothing trustworthy) and `statuses`."""
    origin = trial.record.started_at
    rows = _with_gaps(trial.judgements, gap_s=_GAP_EVALUATIONS * timings.evaluation_s)
    return {
        "span": round(trial.until - origin, 2),
        "times": [round(row.at - origin, 2) for row in rows],
        "lines": [_line(invariant, rows) for invariant in invariants],
        "markers": [
            {
                "at": round(marker.at - origin, 2),
                "flag": marker.flag,
                "kind": marker.kind,
                "label": marker.label,
            }
            for marker in markers(trial.record)
        ],
    }


def _with_gaps(judgements: tuple[Judgement, ...], *, gap_s: float) -> list[Judgement]:
    """An evaluation without readings wherever the harness did not look for a while."""
    rows: list[Judgement] = []
    for judgement in judgements:
        if rows and judgement.at - rows[-1].at > gap_s:
            rows.append(Judgement(at=(rows[-1].at + judgement.at) / 2, readings=()))
        rows.append(judgement)
    return rows


def _line(invariant: Invariant, rows: list[Judgement]) -> dict[str, Any]:
    readings = [_find(row, invariant.id) for row in rows]
    return {
        "title": invariant.title,
        "unit": invariant.unit,
        "limit": invariant.limit,
        "values": [_value(reading) for reading in readings],
        "statuses": "".join(_GAP if r is None else _LETTERS[r.status] for r in readings),
    }


def _find(row: Judgement, invariant: str) -> Reading | None:
    return next((reading for reading in row.readings if reading.invariant == invariant), None)


def _value(reading: Reading | None) -> float | None:
    """Only what was judged: a stale or thin number would be drawn as if it were true."""
    if reading is None or reading.status not in (Status.HELD, Status.VIOLATED):
        return None
    value = finite(reading.value)
    return None if value is None else float(f"{value:.{_DIGITS}g}")
