"""What an audit of the live app found: one result for each assertion of each gate."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: The gates whose failures decide a verdict, in the order in which they run.
DECIDING_GATES = ("functional", "correct")


class AssertionState(StrEnum):
    """How one assertion ended."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    #: not judged, because an assertion before it failed or could not be judged
    BLOCKED = "blocked"
    #: not judged, for a reason that lies with neither the app nor the harness
    SKIPPED = "skipped"
    #: the harness could not judge it
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionResult:
    """One assertion of one gate, judged."""

    gate: str
    name: str
    state: AssertionState
    #: one sentence: what was found, or why it was not judged
    message: str = ""
    #: JSON; usually what was `expected` and what was the `actual`
    details: dict[str, Any] = field(default_factory=dict)
    duration_s: float = 0.0
