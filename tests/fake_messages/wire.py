"""A reply in the words of the protocol: one message, or the events of a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fake_messages.counting import Prompt, tokens
from tests.fake_messages.model import Block, Reply, Text, Thinking, ToolUse

#: of a text or of a tool's arguments, in one event
_PIECE_CHARS = 40


def signature(thinking: str) -> str:
    """What goes with a thinking block, so that it can be told from a modified one."""
    return "sig_" + hashlib.sha256(f"fake {thinking}".encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A reply with its ids, usage and blocks filled in."""

    id: str
    model: str
    reply: Reply
    #: as the API gives them; the input of a malformed call is {}
    blocks: tuple[dict[str, Any], ...]
    stop_reason: str
    stop_details: dict[str, Any] | None
    usage: dict[str, Any]
    #: what context editing did to the prompt; None: it was not asked for
    applied_edits: list[dict[str, Any]] | None

    @property
    def message(self) -> dict[str, Any]:
        """The answer to a request that does not stream."""
        whole = {
            **self._envelope(),
            "content": list(self.blocks),
            "stop_reason": self.stop_reason,
            "stop_details": self.stop_details,
            "usage": self.usage,
        }
        return whole | self._edits()

    @property
    def events(self) -> Iterator[dict[str, Any]]:
        """The answer to one that does, in order; `type` is also the event's name."""
        begun = self._envelope() | {"content": [], "usage": self.usage | {"output_tokens": 1}}
        yield {"type": "message_start", "message": begun}
        yield {"type": "ping"}
        for index, (source, block) in enumerate(zip(self.reply.content, self.blocks, strict=True)):
            yield {
                "type": "content_block_start",
                "index": index,
                "content_block": block | _empty(source),
            }
            for delta in _deltas(source, block):
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        ended = {
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "stop_details": self.stop_details,
        }
        totals = {name: count for name, count in self.usage.items() if name != "cache_creation"}
        yield {"type": "message_delta", "delta": ended, "usage": totals} | self._edits()
        yield {"type": "message_stop"}

    def _envelope(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _edits(self) -> dict[str, Any]:
        if self.applied_edits is None:
            return {}
        return {"context_management": {"applied_edits": self.applied_edits}}


def written(reply: Reply, *, number: int, model: str, prompt: Prompt) -> Written:
    """Fill in what the model left open; `number` makes the ids unique."""
    blocks = tuple(_block(block, number, index) for index, block in enumerate(reply.content))
    calls = any(isinstance(block, ToolUse) for block in reply.content)
    refused = reply.stop_reason == "refusal"
    return Written(
        id=f"msg_fake{number:06d}",
        model=model,
        reply=reply,
        blocks=blocks,
        stop_reason=reply.stop_reason or ("tool_use" if calls else "end_turn"),
        stop_details={"type": "refusal", "category": None, "explanation": reply.explanation}
        if refused
        else None,
        usage=_usage(reply, prompt),
        applied_edits=prompt.applied_edits,
    )


def _block(block: Block, number: int, index: int) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            return {
                "type": "thinking",
                "thinking": block.thinking,
                "signature": signature(block.thinking),
            }
        case ToolUse():
            given = {} if isinstance(block.input, str) else dict(block.input)
            name = block.id or f"toolu_fake{number:06d}n{index}"
            return {"type": "tool_use", "id": name, "name": block.name, "input": given}


def _empty(block: Block) -> dict[str, Any]:
    """What a block is before its first delta."""
    match block:
        case Text():
            return {"text": ""}
        case Thinking():
            return {"thinking": "", "signature": ""}
        case ToolUse():
            return {"input": {}}


def _deltas(block: Block, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match block:
        case Text():
            for piece in _pieces(block.text):
                yield {"type": "text_delta", "text": piece}
        case Thinking():
            for piece in _pieces(block.thinking):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": given["signature"]}
        case ToolUse():
            yield {"type": "input_json_delta", "partial_json": ""}
            raw = block.input if isinstance(block.input, str) else json.dumps(dict(block.input))
            for piece in _pieces(raw):
                yield {"type": "input_json_delta", "partial_json": piece}


def _pieces(text: str) -> Sequence[str]:
    return [text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS)]


def _usage(reply: Reply, prompt: Prompt) -> dict[str, Any]:
    said = reply.usage
    in_5m = said.cache_creation_5m_tokens
    in_1h = said.cache_creation_1h_tokens or 0
    created = prompt.created_tokens if in_5m is None else in_5m
    fresh, read = prompt.fresh_tokens, prompt.read_tokens
    output = sum(tokens(_words(block)) for block in reply.content) + 3
    return {
        "input_tokens": fresh if said.input_tokens is None else said.input_tokens,
        "output_tokens": output if said.output_tokens is None else said.output_tokens,
        "cache_read_input_tokens": read
        if said.cache_read_tokens is None
        else said.cache_read_tokens,
        "cache_creation_input_tokens": created + in_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": created,
            "ephemeral_1h_input_tokens": in_1h,
        },
    }


def _words(block: Block) -> str:
    match block:
        case Text():
            return block.text
        case Thinking():
            return block.thinking
        case ToolUse():
            return block.input if isinstance(block.input, str) else json.dumps(dict(block.input))
