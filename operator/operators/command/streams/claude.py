"""Claude Code's `--output-format stream-json`.

One line a content block; the lines of one answer of the model share `message.id`. The usage on
those lines is what the stream began with, the same on each: it is never counted. What a run took
and cost stands on its last line, the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from operators.command.records import (
    Began,
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
    objects_at,
    records_of,
    shortened,
    text_at,
    unknown,
    value_at,
)

#: words of Claude Code itself, such as an error of the API
_NO_MODEL = "<synthetic>"
#: lines that tell people something as it comes, and nothing that is not told elsewhere
_PASSING = frozenset({"stream_event", "tool_progress", "rate_limit_event", "prompt_suggestion"})
_SYSTEM_TOLD = frozenset({"api_retry", "compact_boundary", "api_error", "status"})
_LIMITS = frozenset({"error_max_budget_usd", "error_max_turns"})


def claude_line(line: str) -> Sequence[Record]:
    return records_of(line, _read)


def _read(content: Mapping[str, Any]) -> Sequence[Record]:
    match text_at(content, "type"):
        case "assistant":
            return tuple(_answer(content))
        case "user":
            return tuple(_results(content))
        case "system":
            return tuple(_system(content))
        case "result":
            return (_result(content),)
        case kind if kind in _PASSING:
            return ()
        case _:
            return (unknown(content),)


def _answer(content: Mapping[str, Any]) -> Iterator[Record]:
    message = text_at(content, "message", "id")
    model = text_at(content, "message", "model")
    if model == _NO_MODEL:
        yield Noted(text=joined_text(value_at(content, "message", "content")))
        return
    for block in objects_at(content, "message", "content"):
        match text_at(block, "type"):
            case "text" if text := text_at(block, "text"):
                yield Said(text=text, model=model, message=message)
            case "thinking" if text := text_at(block, "thinking"):
                yield Thought(text=text, model=model, message=message)
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                yield Called(
                    call=text_at(block, "id"),
                    tool=text_at(block, "name"),
                    arguments=object_at(block, "input"),
                    model=model,
                    message=message,
                )
            case _:  # redacted thinking, and whatever comes with later models
                pass


def _results(content: Mapping[str, Any]) -> Iterator[Record]:
    for block in objects_at(content, "message", "content"):
        if text_at(block, "type") == "tool_result":
            yield Returned(
                call=text_at(block, "tool_use_id"),
                text=joined_text(value_at(block, "content")),
                is_error=value_at(block, "is_error") is True,
            )


def _system(content: Mapping[str, Any]) -> Iterator[Record]:
    kind = text_at(content, "subtype")
    if kind == "init":
        yield Began(model=text_at(content, "model"), note=_unconnected(content))
    elif kind in _SYSTEM_TOLD:
        told = {
            name: value
            for name, value in content.items()
            if name not in {"type", "subtype", "session_id", "uuid"} and value is not None
        }
        yield Noted(text=f"{kind}: {shortened(str(told))}")


def _unconnected(content: Mapping[str, Any]) -> str:
    """Which tool servers it could not reach; without ours it can do nothing."""
    states = {
        text_at(server, "name"): text_at(server, "status")
        for server in objects_at(content, "mcp_servers")
    }
    bad = [
        f"{name}: {state}" for name, state in states.items() if state in {"failed", "needs-auth"}
    ]
    return f"tool servers that did not connect: {', '.join(bad)}" if bad else ""


def _result(content: Mapping[str, Any]) -> Finished:
    kind = text_at(content, "subtype")
    words = [text_at(content, "result"), *(_texts(value_at(content, "errors")))]
    terminal = text_at(content, "terminal_reason")
    is_error = value_at(content, "is_error") is True or kind.startswith("error")
    said = "; ".join(word for word in words if word) or terminal or kind
    status = count_at(content, "api_error_status")
    return Finished(
        is_error=is_error,
        text=said,
        over_budget=kind in _LIMITS,
        api_status=status or None,
        tokens=_tokens(content),
        usd=number_at(content, "total_cost_usd"),
    )


def _texts(found: Any) -> Iterator[str]:
    if isinstance(found, list):
        yield from (entry for entry in found if isinstance(entry, str))


def _tokens(content: Mapping[str, Any]) -> Tokens | None:
    """`modelUsage` counts every model that had a part; `usage` only the main one."""
    by_model = object_at(content, "modelUsage")
    if by_model:
        total = Tokens()
        for usage in by_model.values():
            total += _model_tokens(usage)
        return total
    usage = object_at(content, "usage")
    if not usage:
        return None
    hour = count_at(usage, "cache_creation", "ephemeral_1h_input_tokens")
    return Tokens(
        input=count_at(usage, "input_tokens"),
        output=count_at(usage, "output_tokens"),
        cache_read=count_at(usage, "cache_read_input_tokens"),
        cache_creation_5m=max(0, count_at(usage, "cache_creation_input_tokens") - hour),
        cache_creation_1h=hour,
    )


def _model_tokens(usage: Any) -> Tokens:
    hour = count_at(usage, "cacheCreationEphemeral1hInputTokens")
    return Tokens(
        input=count_at(usage, "inputTokens"),
        output=count_at(usage, "outputTokens"),
        cache_read=count_at(usage, "cacheReadInputTokens"),
        cache_creation_5m=max(0, count_at(usage, "cacheCreationInputTokens") - hour),
        cache_creation_1h=hour,
    )
