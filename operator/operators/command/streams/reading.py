"""Reading JSON that anybody may have written: what is missing or of another kind is empty."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from operators.command.records import Noted, Record

#: of a line that makes no sense so much is kept for the record
_SHOWN_CHARS = 200


def records_of(
    line: str, read: Callable[[Mapping[str, Any]], Sequence[Record]]
) -> Sequence[Record]:
    """What `read` makes of the line's JSON object; a `Noted` for a line that holds none."""
    text = line.strip()
    if not text:
        return ()
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return (Noted(text=f"not JSON: {shortened(text)}"),)
    if not isinstance(content, dict):
        return (Noted(text=f"not an object: {shortened(text)}"),)
    return read(content)


def unknown(content: Mapping[str, Any]) -> Noted:
    """A kind of line that the format did not have when this was written."""
    kind = text_at(content, "type")
    return Noted(text=f"a line of an unknown type {kind!r}: {shortened(json.dumps(content))}")


def shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}... ({len(text)} chars)"


def text_at(content: Any, *path: str) -> str:
    found = value_at(content, *path)
    return found if isinstance(found, str) else ""


def count_at(content: Any, *path: str) -> int:
    found = value_at(content, *path)
    whole = isinstance(found, int) and not isinstance(found, bool)
    return max(0, found) if whole else 0


def number_at(content: Any, *path: str) -> float | None:
    found = value_at(content, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    # JSON as Python reads it knows NaN and Infinity; neither is an amount
    return float(found) if 0 <= found < float("inf") else None


def object_at(content: Any, *path: str) -> Mapping[str, Any]:
    found = value_at(content, *path)
    return found if isinstance(found, dict) else {}


def objects_at(content: Any, *path: str) -> Iterator[Mapping[str, Any]]:
    found = value_at(content, *path)
    if isinstance(found, list):
        yield from (entry for entry in found if isinstance(entry, dict))


def value_at(content: Any, *path: str) -> Any:
    for step in path:
        content = content.get(step) if isinstance(content, dict) else None
    return content


def joined_text(content: Any) -> str:
    """A tool's result: a text, or blocks of which the texts count."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return "" if content is None else json.dumps(content)
    return "\n".join(
        text_at(block, "text") or f"[{text_at(block, 'type') or 'something'}]" for block in content
    )
