"""What the real API refuses, where a client is likely to get it wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anthropic.types.beta.message_create_params import MessageCreateParamsBase

from tests.fake_messages.wire import Written, signature

CONTEXT_MANAGEMENT = "context-management-2025-06-27"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TYPED = {"bash_20250124": "bash", "text_editor_20250728": "str_replace_based_edit_tool"}
_KNOWN = frozenset(MessageCreateParamsBase.__annotations__) | {"stream"}
_BREAKPOINTS = 4


class InvalidRequestError(Exception):
    """400 with these words."""


@dataclass(kw_only=True)
class Given:
    """What this server has answered, as far as a client must give it back unmodified."""

    #: a call's id -> the signatures of the thinking before it
    thought: dict[str, list[str]] = field(default_factory=dict)
    #: the contents of turns that were paused
    paused: set[str] = field(default_factory=set)

    def keep(self, answer: Written) -> None:
        signatures = [block["signature"] for block in answer.blocks if "signature" in block]
        for block in answer.blocks:
            if block["type"] == "tool_use":
                self.thought[block["id"]] = signatures
        if answer.stop_reason == "pause_turn":
            self.paused.add(json.dumps(list(answer.blocks), sort_keys=True))


def check(body: Mapping[str, Any], headers: Mapping[str, str], given: Given) -> None:
    """Raises InvalidRequestError for the first thing that is wrong."""
    _check_parameters(body, headers)
    _check_tools(body)
    _check_cache_control(body)
    _check_messages(body, given)


def _check_parameters(body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            raise InvalidRequestError(f"{name}: Field required")
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        raise InvalidRequestError("max_tokens: must be greater than or equal to 1")
    for name in body:
        if name not in _KNOWN:
            raise InvalidRequestError(f"{name}: Extra inputs are not permitted")
    managed = "context_management" in body
    if managed and CONTEXT_MANAGEMENT not in headers.get("anthropic-beta", ""):
        raise InvalidRequestError("context_management: Extra inputs are not permitted")
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking["type"] not in {"adaptive", "enabled", "disabled"}:
        raise InvalidRequestError(f"thinking.type: unknown value {thinking['type']!r}")
    if thinking["type"] == "enabled" and thinking.get("budget_tokens", 0) >= body["max_tokens"]:
        raise InvalidRequestError("`max_tokens` must be greater than `thinking.budget_tokens`")
    effort = (body.get("output_config") or {}).get("effort")
    if effort not in {None, "low", "medium", "high", "xhigh", "max"}:
        raise InvalidRequestError(f"output_config.effort: unknown value {effort!r}")


def _check_tools(body: Mapping[str, Any]) -> None:
    names: set[str] = set()
    for index, tool in enumerate(body.get("tools") or ()):
        kind, name = tool.get("type", "custom"), tool.get("name", "")
        if not _NAME.fullmatch(name):
            raise InvalidRequestError(f"tools.{index}.name: String should match pattern")
        if name in names:
            raise InvalidRequestError("tools: Tool names must be unique.")
        names.add(name)
        if kind in _TYPED:
            if name != _TYPED[kind] or "input_schema" in tool:
                raise InvalidRequestError(f"tools.{index}.{kind}.name: Input should be fixed")
        elif kind == "custom" and tool.get("input_schema", {}).get("type") != "object":
            raise InvalidRequestError(f"tools.{index}.custom.input_schema.type: Field required")


def _check_cache_control(body: Mapping[str, Any]) -> None:
    marks = list(_marks(body))
    if len(marks) > _BREAKPOINTS:
        raise InvalidRequestError(
            f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}."
        )
    for mark in marks:
        if mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in {"5m", "1h"}:
            raise InvalidRequestError("cache_control: Input should be 'ephemeral'")


def _marks(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("cache_control"), Mapping):
            yield dict(value["cache_control"])
        # Arguments and schemas are the user's own words.
        for name, inner in value.items():
            if name not in {"input", "input_schema"}:
                yield from _marks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _marks(inner)


def _check_messages(body: Mapping[str, Any], given: Given) -> None:
    messages = body["messages"]
    if not messages:
        raise InvalidRequestError("messages: at least one message is required")
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for index, message in enumerate(messages):
        blocks = _blocks(message, index)
        if message["role"] == "system":
            continue
        # Consecutive messages of one role are one turn.
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], list(blocks)))
    if turns[0][0] != "user":
        raise InvalidRequestError('messages: first message must use the "user" role')
    _check_ending(messages, given)
    waiting: list[str] = []
    for index, (role, blocks) in enumerate(turns):
        if role == "user":
            _check_results(blocks, waiting, index)
            waiting = []
        else:
            waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
            _check_thinking(blocks, waiting, given, index)
    if waiting:
        raise _unanswered(waiting, len(turns) - 1)
    if not body.get("tools") and any("tool_use" in json.dumps(turn[1]) for turn in turns):
        raise InvalidRequestError(
            "Requests which have `tool_use` or `tool_result` blocks in messages must define tools"
        )


def _check_ending(messages: list[dict[str, Any]], given: Given) -> None:
    last = messages[-1]
    if last["role"] != "assistant":
        return
    if json.dumps(last["content"], sort_keys=True) not in given.paused:
        raise InvalidRequestError(
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message."
        )


def _blocks(message: dict[str, Any], index: int) -> list[dict[str, Any]]:
    if message.get("role") not in {"user", "assistant", "system"}:
        raise InvalidRequestError(f"messages.{index}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content:
        raise InvalidRequestError(f"messages.{index}: all messages must have non-empty content")
    for block in content:
        if block["type"] == "text" and not block["text"].strip():
            raise InvalidRequestError(
                f"messages.{index}: text content blocks must contain non-whitespace text"
            )
    return content


def _check_results(blocks: list[dict[str, Any]], waiting: list[str], index: int) -> None:
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    for call in answered:
        if call not in waiting or answered.count(call) > 1:
            raise InvalidRequestError(
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{call}. Each `tool_result` block must have a corresponding `tool_use` block in "
                "the previous message."
            )
    first = [block["type"] for block in blocks[: len(answered)]]
    missing = [call for call in waiting if call not in answered]
    if missing or any(kind != "tool_result" for kind in first):
        raise _unanswered(missing or waiting, index - 1)


def _unanswered(calls: list[str], index: int) -> InvalidRequestError:
    return InvalidRequestError(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(calls)}. Each `tool_use` block must have a corresponding "
        "`tool_result` block in the next message."
    )


def _check_thinking(
    blocks: list[dict[str, Any]], calls: list[str], given: Given, index: int
) -> None:
    returned = []
    for at, block in enumerate(blocks):
        if block["type"] == "tool_use" and not isinstance(block.get("input"), dict):
            raise InvalidRequestError(f"messages.{index}.content.{at}.input: Input should be {{}}")
        if block["type"] != "thinking":
            continue
        if block.get("signature") != signature(block["thinking"]):
            raise InvalidRequestError(
                f"messages.{index}.content.{at}: Invalid `signature` in `thinking` block"
            )
        returned.append(block["signature"])
    for call in calls:
        if any(sign not in returned for sign in given.thought.get(call, ())):
            raise InvalidRequestError(
                f"messages.{index}: `thinking` blocks in an assistant message cannot be modified. "
                "These blocks must remain as they were in the original response."
            )
