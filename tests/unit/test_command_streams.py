from __future__ import annotations

import json
from typing import Any

import pytest
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
from operators.command.streams import PARSERS, TELLS_CALLS, Format

MODEL = "claude-opus-5-5"


def read(kind: Format, line: dict[str, Any] | str) -> list[Record]:
    text = line if isinstance(line, str) else json.dumps(line)
    return list(PARSERS[kind](text))


def claude_block(block: dict[str, Any], **more: Any) -> list[Record]:
    message = {"id": "msg_1", "model": MODEL, "content": [block], "usage": {"output_tokens": 1}}
    return read("claude-stream-json", {"type": "assistant", "message": message | more})


@pytest.mark.parametrize("kind", sorted(TELLS_CALLS))
@pytest.mark.parametrize(
    "line", ["not json", '{"type": "assis', "[1]", '"text"', "null", "12", "{}", "[" * 100_000]
)
def test_a_line_that_makes_no_sense_is_noted_and_never_raised(kind: Format, line: str) -> None:
    (record,) = PARSERS[kind](line)
    assert isinstance(record, Noted)
    assert len(record.text) < 400


@pytest.mark.parametrize("kind", sorted(TELLS_CALLS))
@pytest.mark.parametrize("line", ["", "   ", "\t\r"])
def test_an_empty_line_says_nothing(kind: Format, line: str) -> None:
    assert list(PARSERS[kind](line)) == []


@pytest.mark.parametrize("kind", sorted(TELLS_CALLS))
@pytest.mark.parametrize(
    "type_", ["assistant", "user", "system", "result", "item.completed", "message", "tool_use"]
)
@pytest.mark.parametrize("wrong", [None, 1, "text", [1, None], {"content": 3, "item": "x"}])
def test_fields_of_the_wrong_kind_are_taken_as_missing(
    kind: Format, type_: str, wrong: Any
) -> None:
    line = dict.fromkeys(("message", "item", "usage", "content", "parameters", "stats"), wrong)
    for record in read(kind, line | {"type": type_}):
        assert not isinstance(record, Returned) or record.call == ""


def test_claude_tells_one_block_a_line_and_never_its_usage() -> None:
    assert claude_block({"type": "text", "text": "hello"}) == [
        Said(text="hello", model=MODEL, message="msg_1")
    ]
    assert claude_block({"type": "thinking", "thinking": "hm", "signature": "x"}) == [
        Thought(text="hm", model=MODEL, message="msg_1")
    ]
    block = {"type": "tool_use", "id": "t1", "name": "mcp__oncall__bash", "input": {"a": 1}}
    assert claude_block(block) == [
        Called(
            call="t1", tool="mcp__oncall__bash", arguments={"a": 1}, model=MODEL, message="msg_1"
        )
    ]
    assert claude_block({"type": "redacted_thinking", "data": "x"}) == []
    assert claude_block({"type": "thinking", "thinking": ""}) == []


def test_claudes_own_words_are_none_of_the_models() -> None:
    block = {"type": "text", "text": "API Error: overloaded"}
    assert claude_block(block, model="<synthetic>") == [Noted(text="API Error: overloaded")]


def test_claude_tells_results_as_text_or_as_blocks() -> None:
    results = [
        {"type": "tool_result", "tool_use_id": "a", "content": "plain"},
        {
            "type": "tool_result",
            "tool_use_id": "b",
            "is_error": True,
            "content": [{"type": "text", "text": "one"}, {"type": "image"}],
        },
    ]
    line = {"type": "user", "message": {"role": "user", "content": results}}
    assert read("claude-stream-json", line) == [
        Returned(call="a", text="plain"),
        Returned(call="b", text="one\n[image]", is_error=True),
    ]


def test_claude_says_when_a_tool_server_did_not_connect() -> None:
    servers = [{"name": "oncall", "status": "failed"}, {"name": "x", "status": "connected"}]
    line = {"type": "system", "subtype": "init", "model": MODEL, "mcp_servers": servers}
    (began,) = read("claude-stream-json", line)
    assert isinstance(began, Began)
    assert (began.model, began.note) == (
        MODEL,
        "tool servers that did not connect: oncall: failed",
    )


def test_claudes_result_counts_every_model_that_had_a_part() -> None:
    usage = {
        "inputTokens": 300,
        "outputTokens": 150,
        "cacheReadInputTokens": 21,
        "cacheCreationInputTokens": 15,
        "cacheCreationEphemeral1hInputTokens": 5,
    }
    line = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": "done",
        "num_turns": 4,
        "total_cost_usd": 0.0042792,
        "terminal_reason": "completed",
        "usage": {"input_tokens": 300},
        "modelUsage": {MODEL: usage, "claude-haiku-5-5": {"inputTokens": 7, "outputTokens": 1}},
    }
    assert read("claude-stream-json", line) == [
        Finished(
            text="done",
            usd=0.0042792,
            tokens=Tokens(
                input=307, output=151, cache_read=21, cache_creation_5m=10, cache_creation_1h=5
            ),
        )
    ]


@pytest.mark.parametrize("kind", ["error_max_budget_usd", "error_max_turns"])
def test_claudes_own_limits_are_told_apart_from_errors(kind: str) -> None:
    line = {"type": "result", "subtype": kind, "is_error": True, "errors": ["Reached the limit"]}
    (finished,) = read("claude-stream-json", line)
    assert isinstance(finished, Finished)
    assert (finished.over_budget, finished.is_error) == (True, True)
    assert finished.text == "Reached the limit"
    assert (finished.tokens, finished.usd) == (None, None)


def test_an_error_of_the_api_keeps_its_status() -> None:
    line = {
        "type": "result",
        "subtype": "success",
        "is_error": True,
        "api_error_status": 529,
        "result": "API Error: Repeated 529 Overloaded errors",
    }
    (finished,) = read("claude-stream-json", line)
    assert isinstance(finished, Finished)
    assert (finished.is_error, finished.api_status) == (True, 529)


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), -1, "0.1", True])
def test_what_is_no_amount_of_money_is_unknown(usd: Any) -> None:
    (finished,) = read("claude-stream-json", {"type": "result", "total_cost_usd": usd})
    assert isinstance(finished, Finished)
    assert finished.usd is None


def test_a_huge_line_is_read_and_a_cut_one_is_shown_shortened() -> None:
    text = "x" * (8 << 20)
    (said,) = claude_block({"type": "text", "text": text})
    assert isinstance(said, Said)
    assert len(said.text) == len(text)
    cut = f'{{"type": "assistant", "message": "{text}'
    (noted,) = PARSERS["claude-stream-json"](cut)
    assert isinstance(noted, Noted)
    assert noted.text.endswith(f"({len(cut)} chars)")


def test_a_line_of_a_later_version_is_noted() -> None:
    (noted,) = read("claude-stream-json", {"type": "hologram", "data": 1})
    assert isinstance(noted, Noted)
    assert "unknown type 'hologram'" in noted.text
    assert read("claude-stream-json", {"type": "stream_event", "event": {}}) == []


def test_codex_tells_a_call_when_it_starts_and_again_with_its_result() -> None:
    item: dict[str, Any] = {
        "id": "item_1",
        "type": "mcp_tool_call",
        "server": "oncall",
        "tool": "bash",
    }
    item |= {"arguments": {"command": "ls"}, "status": "in_progress"}
    called = Called(call="item_1", tool="bash", arguments={"command": "ls"})
    assert read("codex-json", {"type": "item.started", "item": item}) == [called]
    done = item | {"status": "completed", "result": {"content": [{"type": "text", "text": "ok"}]}}
    assert read("codex-json", {"type": "item.completed", "item": done}) == [
        called,
        Returned(call="item_1", text="ok"),
    ]
    failed = item | {"status": "failed", "error": {"message": "no such tool"}}
    assert read("codex-json", {"type": "item.completed", "item": failed}) == [
        called,
        Returned(call="item_1", text="no such tool", is_error=True),
    ]


def test_codex_counts_what_came_from_the_cache_as_input_too() -> None:
    usage = {"input_tokens": 100, "cached_input_tokens": 80, "output_tokens": 5}
    assert read("codex-json", {"type": "turn.completed", "usage": usage}) == [
        Finished(tokens=Tokens(input=20, output=5, cache_read=80))
    ]
    (failed,) = read("codex-json", {"type": "turn.failed", "error": {"message": "no quota"}})
    assert failed == Finished(is_error=True, text="no quota")


def test_gemini_speaks_in_pieces_and_tells_its_calls() -> None:
    said = {"type": "message", "role": "assistant", "content": "hel", "delta": True}
    assert read("gemini-stream-json", said) == [Said(text="hel", piece=True)]
    assert read("gemini-stream-json", said | {"role": "user"}) == []
    use = {"type": "tool_use", "tool_name": "mcp_oncall_sql", "tool_id": "c", "parameters": {}}
    assert read("gemini-stream-json", use) == [Called(call="c", tool="mcp_oncall_sql")]
    result = {"type": "tool_result", "tool_id": "c", "status": "error", "error": {"message": "no"}}
    assert read("gemini-stream-json", result) == [Returned(call="c", text="no", is_error=True)]
    stats: dict[str, Any] = {
        "input_tokens": 100,
        "cached": 60,
        "output_tokens": 7,
        "total_tokens": 107,
    }
    assert read("gemini-stream-json", {"type": "result", "status": "success", "stats": stats}) == [
        Finished(tokens=Tokens(input=40, output=7, cache_read=60))
    ]


def test_an_agent_of_ones_own_tells_everything_in_one_simple_form() -> None:
    lines: list[dict[str, Any]] = [
        {"type": "text", "text": "hi", "message": "m1", "model": "m"},
        {"type": "thinking", "text": "hm", "message": "m1"},
        {"type": "tool_use", "id": "c", "name": "bash", "input": {"command": "ls"}},
        {"type": "tool_result", "id": "c", "content": "ok"},
        {"type": "note", "text": "a retry"},
        {"type": "result", "usd": 0.5, "usage": {"input_tokens": 3}},
    ]
    assert [record for line in lines for record in read("generic-jsonl", line)] == [
        Said(text="hi", message="m1", model="m"),
        Thought(text="hm", message="m1"),
        Called(call="c", tool="bash", arguments={"command": "ls"}),
        Returned(call="c", text="ok"),
        Noted(text="a retry"),
        Finished(usd=0.5, tokens=Tokens(input=3)),
    ]


def test_plain_text_is_all_words() -> None:
    assert read("text", "{not json}") == [Said(text="{not json}\n", piece=True)]
    assert "text" not in TELLS_CALLS
