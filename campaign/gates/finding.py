"""What an assertion says: that something holds, that it does not, or that it cannot be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from pydantic import BaseModel

#: what a finding shows of a text, of a list, of how deep things lie in each other
_TEXT_CHARS, _ITEMS, _DEPTH = 400, 12, 4
_NO_JSON_NUMBER = 2**63
#: and its one sentence of a value
_SENTENCE_CHARS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one assertion."""

    passed: bool
    #: one sentence
    message: str
    #: JSON; of a failure usually `expected` and `actual`
    details: Mapping[str, Any] = field(default_factory=dict)


class Skip(Exception):  # noqa: N818 - no error: there is nothing to judge
    """This cannot be judged here, and the message says why."""


class AppFailedError(Exception):
    """The app did something else than it should: a failed assertion, never a fault of ours."""

    def __init__(self, message: str, *, expected: object = None, actual: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = {"expected": shortened(expected), "actual": shortened(actual)}

    def finding(self) -> Finding:
        return Finding(passed=False, message=self.message, details=self.details)


def holds(message: str, **details: object) -> Finding:
    """A passed assertion."""
    shown = {name: shortened(value) for name, value in details.items()}
    return Finding(passed=True, message=message, details=shown)


def expect(what: str, *, expected: object, actual: object) -> None:
    """Raises AppFailedError unless the two are equal; of long lists it tells where they part."""
    if expected == actual:
        return
    if isinstance(expected, list) and isinstance(actual, list):
        at = _same_so_far(expected, actual)
        if at:
            what = f"{what} after the first {at}"
        expected, actual = expected[at:], actual[at:]
    raise AppFailedError(
        f"{what}: expected {_in_words(expected)}, got {_in_words(actual)}",
        expected=expected,
        actual=actual,
    )


def expect_true(what: str, *, met: bool, expected: object, actual: object) -> None:
    """Raises AppFailedError unless the condition is met; `expected` says it in words."""
    if not met:
        raise AppFailedError(
            f"{what}: expected {expected}, got {_in_words(actual)}",
            expected=expected,
            actual=actual,
        )


def shortened(value: object, *, depth: int = _DEPTH) -> Any:
    """`value` as JSON of a bounded size, whatever an app has put into it."""
    match value:
        case None | bool():
            return value
        case float() if isfinite(value):
            return value
        case int() if abs(value) < _NO_JSON_NUMBER:
            return value
        case int():
            return f"a number of {value.bit_length()} bits"
        case str() | bytes():
            return _text(value)
        case BaseModel() if depth:
            return shortened(value.model_dump(), depth=depth)
        case Mapping() if depth:
            few = list(value.items())[:_ITEMS]
            return {_text(str(key)): shortened(item, depth=depth - 1) for key, item in few}
        case Sequence() | set() | frozenset() if depth:
            return _list(list(value), depth=depth)
        case _:
            return _text(repr(value))


def _same_so_far(expected: list[Any], actual: list[Any]) -> int:
    pairs = zip(expected, actual, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(expected), len(actual)))


def _list(items: list[object], *, depth: int) -> list[Any]:
    shown = [shortened(item, depth=depth - 1) for item in items[:_ITEMS]]
    return shown if len(items) <= _ITEMS else [*shown, f"… {len(items)} in all"]


def _text(value: str | bytes) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    # Half a surrogate pair cannot be stored as UTF-8.
    clean = text[:_TEXT_CHARS].encode("utf-8", "replace").decode()
    return clean if len(text) <= _TEXT_CHARS else f"{clean}… {len(text)} characters in all"


def _in_words(value: object) -> str:
    words = repr(shortened(value))
    return words if len(words) <= _SENTENCE_CHARS else f"{words[:_SENTENCE_CHARS]}…"
