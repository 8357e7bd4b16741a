"""What the gates found in a trial: one line an assertion, those that did not pass first."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from campaign.model import AssertionResult, AssertionState, TrialRecord

#: of a detail's JSON, this much is shown
_DETAIL_CHARS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One thing an assertion says beside its message, mostly `expected` or `actual`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asserted:
    """One assertion as the page shows it."""

    result: AssertionResult
    details: tuple[Detail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """An audit, over or not."""

    #: what failed, could not be judged, or was not asked
    noteworthy: tuple[Asserted, ...]
    passed: tuple[Asserted, ...]

    @property
    def total(self) -> int:
        return len(self.noteworthy) + len(self.passed)


def gates(record: TrialRecord) -> Gates:
    """The last audit's findings; empty when the trial never came to one."""
    shown = [_asserted(result) for result in record.assertions]
    return Gates(
        noteworthy=tuple(each for each in shown if not _is_pass(each)),
        passed=tuple(each for each in shown if _is_pass(each)),
    )


def _is_pass(asserted: Asserted) -> bool:
    return asserted.result.state is AssertionState.PASS


def _asserted(result: AssertionResult) -> Asserted:
    known = {name: value for name, value in result.details.items() if value is not None}
    details = tuple(Detail(name=name, text=_text(value)) for name, value in known.items())
    return Asserted(result=result, details=details)


def _text(value: Any) -> str:
    """A string as it is, anything else as JSON; cut when it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _DETAIL_CHARS else f"{text[:_DETAIL_CHARS]}…"


def as_json(record: TrialRecord) -> list[dict[str, Any]]:
    """For programs: `gate`, `name`, `state`, `message` and `details` of each assertion."""
    return [
        {
            "gate": result.gate,
            "name": result.name,
            "state": result.state.value,
            "message": result.message,
            "details": _finite(result.details),
        }
        for result in record.assertions
    ]


def _finite(value: Any) -> Any:
    """JSON has no infinities and no NaN."""
    match value:
        case dict():
            return {name: _finite(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
