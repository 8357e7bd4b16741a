"""`generic-jsonl`: what an agent of your own can write, one JSON object a line.

    {"type": "text", "text": "...", "message": "m1", "model": "..."}
    {"type": "thinking", "text": "...", "message": "m1"}
    {"type": "tool_use", "id": "c1", "name": "bash", "input": {...}, "message": "m1"}
    {"type": "tool_result", "id": "c1", "content": "...", "is_error": false}
    {"type": "note", "text": "..."}
    {"type": "result", "is_error": false, "text": "...", "usd": 0.1, "usage": {"input_tokens": 1,
     "output_tokens": 1, "cache_read_tokens": 0, "cache_creation_tokens": 0}}

`message` is the same for all parts of one answer of the model; `usage` and `usd` are of the whole
run. Everything but `type` may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.command.records import (
    Called,
    Finished,
    Noted,
    Record,
    Returned,
    Said,
    Thought,
    Tokens,
)
from operators.command.streams.reading import (
    count_at,
    joined_text,
    number_at,
    object_at,
    records_of,
    text_at,
    unknown,
    value_at,
)


def generic_line(line: str) -> Sequence[Record]:
    return records_of(line, _read)


def _read(content: Mapping[str, Any]) -> Sequence[Record]:
    text, message, model = (text_at(content, name) for name in ("text", "message", "model"))
    match text_at(content, "type"):
        case "text":
            return (Said(text=text, message=message, model=model),)
        case "thinking":
            return (Thought(text=text, message=message, model=model),)
        case "tool_use":
            return (
                Called(
                    call=text_at(content, "id"),
                    tool=text_at(content, "name"),
                    arguments=object_at(content, "input"),
                    message=message,
                    model=model,
                ),
            )
        case "tool_result":
            return (
                Returned(
                    call=text_at(content, "id"),
                    text=joined_text(value_at(content, "content")),
                    is_error=value_at(content, "is_error") is True,
                ),
            )
        case "note":
            return (Noted(text=text),)
        case "result":
            return (_finished(content, text),)
        case _:
            return (unknown(content),)


def _finished(content: Mapping[str, Any], text: str) -> Finished:
    usage = object_at(content, "usage")
    tokens = Tokens(
        input=count_at(usage, "input_tokens"),
        output=count_at(usage, "output_tokens"),
        cache_read=count_at(usage, "cache_read_tokens"),
        cache_creation_5m=count_at(usage, "cache_creation_tokens"),
    )
    return Finished(
        is_error=value_at(content, "is_error") is True,
        text=text,
        tokens=tokens if usage else None,
        usd=number_at(content, "usd"),
    )
