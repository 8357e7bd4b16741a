"""Values of a database as JSON can hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

#: a longer text is cut
LONGEST_VALUE = 4000


def plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings stay what they are; all else is what it prints as."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return shortened(value)
        case bytes() | bytearray() | memoryview():
            return shortened("\\x" + bytes(value[: LONGEST_VALUE + 1]).hex())
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            return _bounded({str(key): plain(each) for key, each in value.items()})
        case Sequence():
            return _bounded([plain(each) for each in value])
        case _:
            return shortened(str(value))


def shortened(text: str) -> str:
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"


def _bounded(value: Any) -> Any:
    text = json.dumps(value)
    return value if len(text) <= LONGEST_VALUE else shortened(text)
