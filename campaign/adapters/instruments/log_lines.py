"""What a line of the app's log says of its level and its time, if it says so."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LEVEL_KEYS = ("level", "severity", "levelname", "log_level", "lvl")
_TIME_KEYS = ("time", "timestamp", "ts", "@timestamp", "asctime", "datetime")
_NAMES_BY_RANK: Mapping[int, str] = {
    10: "trace debug",
    20: "info notice log",
    30: "warn warning",
    40: "error err exception",
    50: "critical fatal panic",
}
_RANKS = {name: rank for rank, names in _NAMES_BY_RANK.items() for name in names.split()}
#: in capitals only: "an error" is not a level
_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|PANIC)\b")
_TIME = re.compile(
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?![\d:])"
)
_LOOKED_AT = 200
#: a number above this is milliseconds
_MILLISECONDS = 1e11


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFacts:
    """`rank` as `rank_of` gives it; `at` in epoch seconds."""

    rank: int | None = None
    at: float | None = None


def rank_of(level: str) -> int | None:
    """Levels by weight, as Python's logging counts them."""
    return _RANKS.get(level.lower())


def facts_of(line: str) -> LineFacts:
    """JSON by the usual keys; other text by a level in capitals and an ISO time near its start."""
    if line.startswith("{"):
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict):
            return LineFacts(rank=_json_rank(said), at=_json_time(said))
    start = line[:_LOOKED_AT]
    level, at = _LEVEL.search(start), _TIME.search(start)
    return LineFacts(
        rank=rank_of(level.group(1)) if level else None,
        at=_epoch(at.group()) if at else None,
    )


def _json_rank(said: Mapping[str, Any]) -> int | None:
    for key in _LEVEL_KEYS:
        value = said.get(key)
        if isinstance(value, str):
            return rank_of(value)
        if isinstance(value, int):
            return value
    return None


def _json_time(said: Mapping[str, Any]) -> float | None:
    for key in _TIME_KEYS:
        value = said.get(key)
        if isinstance(value, str):
            return _epoch(value)
        if isinstance(value, int | float) and math.isfinite(value):
            return value / 1000 if value > _MILLISECONDS else float(value)
    return None


def _epoch(text: str) -> float | None:
    """Without a zone, the time is UTC."""
    try:
        at = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
