"""How numbers and foreign text are written: once, for pages and terminals alike."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

#: what is not known; never a 0
UNKNOWN = "—"

_MINUTE = 60
_HOUR = 3600
_SHORT = 10
_REVISION_CHARS = 8
_FRACTION_CHARS = 3
#: control and format characters: escape sequences, bidirectional overrides, line separators
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def duration(seconds: float | None) -> str:
    """`4.2 s`, `42 s`, `3 min 05 s`, `2 h 04 min`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if round(seconds, 1) < _SHORT:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def clock(seconds: float | None) -> str:
    """Time since a start: `1:02`, `1:02:03`."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, math.floor(seconds))
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02d}"
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02d}:{whole % _MINUTE:02d}"


def moment(epoch_s: float | None) -> str:
    """`2025-11-21 05:59:12 UTC`."""
    if epoch_s is None:
        return UNKNOWN
    return datetime.fromtimestamp(epoch_s, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def quantity(value: float | None, unit: str) -> str:
    """A measured value in its invariant's unit: ratio, count, bytes or seconds."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    match unit:
        case "ratio":
            return f"{_digits(value * 100)} %"
        case "seconds":
            return f"{_digits(value * 1000)} ms" if abs(value) < 1 else f"{_digits(value)} s"
        case "bytes":
            return _bytes(value)
        case _:
            return _digits(value)


def _digits(value: float) -> str:
    """Three significant digits, whole numbers whole."""
    if value == int(value) or abs(value) >= 10**_FRACTION_CHARS - 1:
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.{_FRACTION_CHARS}g}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB"):
        if abs(value) < 10**_FRACTION_CHARS:
            return f"{_digits(value)} {unit}"
        value /= 1000
    return f"{_digits(value)} GB"


def percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share * 100:.0f} %"


def rate(hz: float | None) -> str:
    """Requests per second."""
    return UNKNOWN if hz is None else f"{_digits(round(hz, 2))}/s"


def revision(sha: str) -> str:
    """A commit's first characters."""
    return sha[:_REVISION_CHARS] or UNKNOWN


def printable(text: str) -> str:
    """Foreign text on one line, without anything that moves a cursor or hides."""
    return _UNPRINTABLE.sub(" ", text).strip()


def short(text: str, width: int) -> str:
    """Printable, and at most `width` characters."""
    line = printable(text)
    return line if len(line) <= width else f"{line[: width - 1]}…"


def call(arguments: dict[str, object], *, width: int = 160, each: int = 60) -> str:
    """A tool call's arguments on one line: `path=models.py, limit=20`."""
    shown = (f"{name}={short(str(value), each)}" for name, value in arguments.items())
    return short(", ".join(shown), width)


def plural(count: int, noun: str) -> str:
    """`1 deployment`, `2 deployments`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
