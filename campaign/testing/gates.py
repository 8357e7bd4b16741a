"""Gates that find what they are told to: everything is well unless something else was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from campaign.model import AssertionResult, AssertionState

#: how long an assertion takes in virtual time, seconds
ASSERTION_S = 0.5


def finding(
    gate: str, name: str, state: AssertionState = AssertionState.PASS, message: str = ""
) -> AssertionResult:
    return AssertionResult(
        gate=gate, name=name, state=state, message=message, duration_s=ASSERTION_S
    )


ALL_WELL = (
    finding("functional", "healthy"),
    finding("functional", "answers_by_its_document"),
    finding("correct", "no_write_is_lost"),
    finding("correct", "token_counts_are_exact"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAudit:
    """What the gates find in one trial."""

    results: Sequence[AssertionResult] = ALL_WELL
    #: they say all of it, and never that they are done
    hangs: bool = False
    #: they say all of it, and then break
    breaks: Exception | None = None


def failing(
    name: str, *, gate: str = "functional", message: str = "it answered 500"
) -> ScriptedAudit:
    """One assertion fails, and the others are well."""
    return _with(finding(gate, name, AssertionState.FAIL, message))


def erring(
    name: str, *, gate: str = "functional", message: str = "the probe broke"
) -> ScriptedAudit:
    """One assertion cannot be judged, and the others are well."""
    return _with(finding(gate, name, AssertionState.ERROR, message))


def _with(result: AssertionResult) -> ScriptedAudit:
    others = (each for each in ALL_WELL if (each.gate, each.name) != (result.gate, result.name))
    return ScriptedAudit(results=(result, *others))
