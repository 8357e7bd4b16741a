"""The `$NAMES` in invariants.yaml's PromQL.

Small letters name an expression under `shared:`, put in place of the name in parentheses.
Capitals are filled in by Ratchet:

    $SELECT   the invariant's own label matchers (`select:`), without braces; when it is loaded
    $L        its latency limit as a value of the labels `le` and `older_than_seconds`, such as 0.3
    $RANGE    the sliding window, such as 4s
    $RANGE_S  the same in seconds, such as 4; with a probe a second, also the probes of a window
    $SCRAPE_S the time between two scrapes in seconds, such as 1
    $RECENT   two scrapes, such as 2s: for gauges, so that one failed scrape is forgiven

All but $SELECT stay in the loaded expression until the rules are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: what `chaos_profiles.rules` fills in
LATE_NAMES = frozenset({"L", "RANGE", "RANGE_S", "RECENT", "SCRAPE_S"})
_NAME = re.compile(r"\$([A-Za-z_]+)")
#: turns "no data" into a value, which could then be taken for a good one
_MADE_UP = re.compile(r"\bor\s+(on\s*\(\s*\)\s*)?(vector|scalar)\s*\(|\babsent", re.IGNORECASE)


class ExpressionError(ValueError):
    """The PromQL of an invariant cannot be put together."""


def expand(expression: str, *, shared: Mapping[str, str], select: str | None) -> str:
    """`expression` with everything filled in that is known when an invariant is loaded.

    Raises:
        ExpressionError: an unknown name, one that contains itself, or data made up.
    """
    expanded = " ".join(_expand(expression, shared, select, ()).split())
    if _MADE_UP.search(expanded):
        raise ExpressionError(
            "makes up a value where there is no data, so that a gap could pass for good: "
            "use a series that exists exactly as long as its source"
        )
    return expanded


def names_in(expression: str) -> frozenset[str]:
    return frozenset(_NAME.findall(expression))


def fill(expression: str, values: Mapping[str, str]) -> str:
    """`expression` with each `$NAME` of `values` replaced.

    Raises:
        ExpressionError: a name has no value.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise ExpressionError(f"${name} has no value in {expression!r}")
        return values[name]

    return _NAME.sub(value, expression)


def _expand(
    expression: str, shared: Mapping[str, str], select: str | None, within: tuple[str, ...]
) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in within:
            raise ExpressionError(f"${name} contains itself ({' > '.join((*within, name))})")
        if name in shared:
            return f"({_expand(shared[name], shared, select, (*within, name))})"
        return _capital(name, select=select, known=shared)

    return _NAME.sub(value, expression.strip())


def _capital(name: str, *, select: str | None, known: Iterable[str]) -> str:
    if name in LATE_NAMES:
        return f"${name}"
    if name != "SELECT":
        names = ", ".join(f"${each}" for each in (*sorted(known), "SELECT", *sorted(LATE_NAMES)))
        raise ExpressionError(f"${name} is not known; there are {names}")
    if select is None:
        raise ExpressionError("uses $SELECT, but the invariant has no `select:`")
    return select
