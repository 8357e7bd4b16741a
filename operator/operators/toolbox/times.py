"""Times as people say them: epoch seconds, "now", "-5m"."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import Field

from operators.toolbox.errors import ToolError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RELATIVE = re.compile(r"(?:now)?-((?:\d{1,9}(?:\.\d{1,3})?[smhd])+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_MAX_S = 1e11

#: as an argument
Moment: TypeAlias = float | Annotated[str, Field(max_length=60)]
SAID = 'epoch seconds, "now", how long ago such as "-5m" or "-1h30m", or "2026-01-31T12:00:00Z"'


def seconds(moment: Moment, *, now: float, name: str) -> float:
    """Epoch seconds.

    Raises:
        ToolError: it is no time; `name` is the argument's.
    """
    found = _parsed(moment.strip(), now) if isinstance(moment, str) else moment
    if found is None or not math.isfinite(found) or not 0 <= found <= _MAX_S:
        raise ToolError(f"{name}: {str(moment)[:60]!r} is no time; give {SAID}")
    return found


def _parsed(text: str, now: float) -> float | None:
    if text == "now":
        return now
    if relative := _RELATIVE.fullmatch(text):
        parts = _PART.findall(relative[1])
        return now - sum(float(count) * _UNITS[unit] for count, unit in parts)
    try:
        return float(text)
    except ValueError:
        pass
    try:
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def clock(at: float) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%S")


def date_and_clock(at: float) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
