"""`codex exec --json`: thread events, of which items carry what was said and done.

As its published sources describe them; it was never tried. Its `input_tokens` include what came
from the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    object_at,
    objects_at,
    records_of,
    text_at,
    unknown,
    value_at,
)

_SILENT = frozenset({"thread.started", "turn.started", "item.updated", "item.plan.delta"})


def codex_line(line: str) -> Sequence[Record]:
    return records_of(line, _read)


def _read(content: Mapping[str, Any]) -> Sequence[Record]:
    match text_at(content, "type"):
        case "item.started":
            return tuple(_call(object_at(content, "item")))
        case "item.completed":
            return tuple(_item(object_at(content, "item")))
        case "turn.completed":
            return (Finished(tokens=_tokens(object_at(content, "usage"))),)
        case "turn.failed":
            return (Finished(is_error=True, text=text_at(content, "error", "message")),)
        case "error":
            return (Noted(text=f"error: {text_at(content, 'message')}"),)
        case kind if kind in _SILENT:
            return ()
        case _:
            return (unknown(content),)


def _item(item: Mapping[str, Any]) -> Iterator[Record]:
    kind, text = text_at(item, "type"), text_at(item, "text")
    match kind:
        case "agent_message":
            yield Said(text=text)
        case "reasoning":
            yield Thought(text=text)
        case "mcp_tool_call" | "command_execution" | "file_change" | "web_search":
            yield from _call(item)
            yield _returned(item, kind)
        case "error":
            yield Noted(text=f"error: {text_at(item, 'message')}")
        case _:  # plans and to-do lists are its own affair
            pass


def _call(item: Mapping[str, Any]) -> Iterator[Record]:
    call = text_at(item, "id")
    match text_at(item, "type"):
        case "mcp_tool_call":
            tool, arguments = text_at(item, "tool"), object_at(item, "arguments")
        case "command_execution":
            tool, arguments = "command_execution", {"command": text_at(item, "command")}
        case "file_change":
            tool, arguments = "file_change", {"changes": list(objects_at(item, "changes"))}
        case "web_search":
            tool, arguments = "web_search", {"query": text_at(item, "query")}
        case _:
            return
    yield Called(call=call, tool=tool, arguments=arguments)


def _returned(item: Mapping[str, Any], kind: str) -> Returned:
    error = text_at(item, "error", "message")
    found = {
        "mcp_tool_call": error or joined_text(value_at(item, "result", "content")),
        "command_execution": text_at(item, "aggregated_output"),
    }
    return Returned(
        call=text_at(item, "id"),
        text=found.get(kind, text_at(item, "status")),
        is_error=bool(error) or text_at(item, "status") in {"failed", "declined"},
    )


def _tokens(usage: Mapping[str, Any]) -> Tokens | None:
    if not usage:
        return None
    cached = count_at(usage, "cached_input_tokens")
    return Tokens(
        input=max(0, count_at(usage, "input_tokens") - cached),
        output=count_at(usage, "output_tokens"),
        cache_read=cached,
    )
