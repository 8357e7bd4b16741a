"""Gemini CLI's `--output-format stream-json`, as its published sources describe it; never tried.

Words come in pieces. `input_tokens` include those from the cache, which `cached` counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.command.records import (
    Began,
    Called,
    Finished,
    Noted,
    Record,
    Returned,
    Said,
    Tokens,
)
from operators.command.streams.reading import (
    count_at,
    object_at,
    records_of,
    text_at,
    unknown,
    value_at,
)


def gemini_line(line: str) -> Sequence[Record]:
    return records_of(line, _read)


def _read(content: Mapping[str, Any]) -> Sequence[Record]:
    match text_at(content, "type"):
        case "init":
            return (Began(model=text_at(content, "model")),)
        case "message" if text_at(content, "role") == "assistant":
            piece = value_at(content, "delta") is True
            return (Said(text=text_at(content, "content"), piece=piece),)
        case "message":
            return ()
        case "tool_use":
            return (
                Called(
                    call=text_at(content, "tool_id"),
                    tool=text_at(content, "tool_name"),
                    arguments=object_at(content, "parameters"),
                ),
            )
        case "tool_result":
            return (_returned(content),)
        case "error":
            return (Noted(text=f"error: {text_at(content, 'message')}"),)
        case "result":
            return (_finished(content),)
        case _:
            return (unknown(content),)


def _returned(content: Mapping[str, Any]) -> Returned:
    return Returned(
        call=text_at(content, "tool_id"),
        text=text_at(content, "output") or text_at(content, "error", "message"),
        is_error=text_at(content, "status") == "error",
    )


def _finished(content: Mapping[str, Any]) -> Finished:
    stats = object_at(content, "stats")
    cached = count_at(stats, "cached")
    tokens = Tokens(
        input=max(0, count_at(stats, "input_tokens") - cached),
        output=count_at(stats, "output_tokens"),
        cache_read=cached,
    )
    return Finished(
        is_error=text_at(content, "status") == "error",
        text=text_at(content, "error", "message"),
        tokens=tokens if stats else None,
    )
