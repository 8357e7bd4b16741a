"""The conversation as the model finds it in a request; it remembers nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fake_messages.counting import CLEARED
from tests.fake_messages.model import Block, Reply, Text, Thinking, ToolUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool it wants to use, by the name the toolbox gives it."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a call gave, as far as the conversation tells."""

    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One turn: what it says, what it thinks beforehand, and the calls it makes at once."""

    say: str
    calls: tuple[Call, ...] = ()
    think: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    calls: tuple[Call, ...]
    results: tuple[Result | None, ...]


class Conversation:
    """What was asked for and what came back, oldest first."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._names = {_bare(tool["name"]): tool["name"] for tool in request.get("tools") or ()}
        self._turns = _turns(request["messages"])
        self._thinks = (request.get("thinking") or {}).get("type") in {"adaptive", "enabled"}
        self._next = 0

    @property
    def tools(self) -> frozenset[str]:
        """What it may use, without the prefix that an MCP client puts before each name."""
        return frozenset(self._names)

    def results_of(self, step: Step) -> tuple[Result, ...] | None:
        """What the step's calls gave; None: it has not been taken yet.

        Turns in between that are not the step's are passed over: a context that was cut short, or
        somebody else's words, cost a repetition and nothing more.
        """
        for index in range(self._next, len(self._turns)):
            turn = self._turns[index]
            if turn.calls == step.calls and None not in turn.results:
                self._next = index + 1
                return tuple(result for result in turn.results if result is not None)
        return None

    def reply(self, step: Step) -> Reply:
        blocks: list[Block] = []
        if step.think and self._thinks:
            blocks.append(Thinking(thinking=step.think))
        if step.say:
            blocks.append(Text(text=step.say))
        blocks += [
            ToolUse(name=self._names.get(call.tool, call.tool), input=dict(call.arguments))
            for call in step.calls
        ]
        return Reply(content=tuple(blocks))


def _bare(name: str) -> str:
    return name.rsplit("__", 1)[-1]


def _turns(messages: list[dict[str, Any]]) -> list[_Turn]:
    results = {
        block["tool_use_id"]: Result(
            text=_text(block.get("content")), is_error=bool(block.get("is_error"))
        )
        for message in messages
        for block in _blocks(message)
        if block.get("type") == "tool_result" and _text(block.get("content")) != CLEARED
    }
    turns = []
    for message in messages:
        uses = [block for block in _blocks(message) if block.get("type") == "tool_use"]
        if message["role"] != "assistant" or not uses:
            continue
        turns.append(
            _Turn(
                calls=tuple(
                    Call(tool=_bare(use["name"]), arguments=use.get("input") or {}) for use in uses
                ),
                results=tuple(results.get(use["id"]) for use in uses),
            )
        )
    return turns


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return content if isinstance(content, list) else []


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [block.get("text", "") for block in content or () if block.get("type") == "text"]
    return "\n".join(parts)
