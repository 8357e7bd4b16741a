"""An answer put together from the events of its stream. Pure.

The SDK has a helper for it; it completes the arguments of a tool call that were cut or are no JSON
by guessing, or ends the whole answer. A deployment must not be guessed: here such a call is known
as one, and the rest of the answer is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.claude.errors import BrokenStreamError
from operators.trace.recorder import TurnUsage

#: the one argument of a call whose arguments could not be read, when it is sent back
UNREADABLE = "INVALID_JSON"
_CUT = (
    "Your answer reached its length limit in the middle of this call, so it was not run. Call it "
    "again with less in it, in several steps if need be."
)
_MALFORMED = "The arguments were not valid JSON, so it was not run. Call it again."
#: texts without which a block is none
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "thinking": ("thinking",),
    "tool_use": ("id", "name"),
}
#: what is nested more deeply is nobody's honest call, and could not be sent back
_MAX_DEPTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call of an answer."""

    id: str
    tool: str
    #: for the toolbox: an object, or the text that could not be read as one
    arguments: Mapping[str, Any] | str
    #: why they could not be read, in words for the model; empty: they could
    problem: str = ""

    @property
    def sent_back(self) -> Mapping[str, Any]:
        """The arguments in a form that the API takes as history."""
        return {UNREADABLE: self.arguments} if isinstance(self.arguments, str) else self.arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the model, whole or as far as it came."""

    model: str
    #: as they go back to the API: text and thinking as they came, and tool calls
    blocks: tuple[Mapping[str, Any], ...]
    calls: tuple[Call, ...]
    #: None: the stream ended before it was said
    stop_reason: str | None
    #: why it refused; empty: it did not, or did not say
    explanation: str
    usage: TurnUsage
    #: results of old calls that the provider has left out of the prompt, and their tokens
    cleared_results: int
    cleared_tokens: int


@dataclass(kw_only=True)
class Assembly:
    """Takes the events of one stream as dictionaries; may be looked at at any time."""

    _model: str = ""
    _blocks: list[dict[str, Any]] = field(default_factory=list)
    #: the arguments of the call at this index, as they come
    _arguments: dict[int, str] = field(default_factory=dict)
    _stopped: set[int] = field(default_factory=set)
    _stop_reason: str | None = None
    _explanation: str = ""
    _usage: dict[str, Any] = field(default_factory=dict)
    _cleared_results: int = 0
    _cleared_tokens: int = 0

    def add(self, event: Mapping[str, Any]) -> None:
        """One event; those of kinds that are not known yet change nothing.

        Raises:
            BrokenStreamError: it does not fit what came before.
        """
        try:
            self._add(event)
        except (KeyError, IndexError, TypeError, AttributeError) as problem:
            raise BrokenStreamError(f"an event that does not fit: {problem!r}") from problem

    def turn(self, *, latency_s: float | None = None) -> Turn:
        blocks: list[Mapping[str, Any]] = []
        calls: list[Call] = []
        for index, block in enumerate(self._blocks):
            match block["type"]:
                case "tool_use":
                    call = self._call(index, block)
                    calls.append(call)
                    blocks.append(block | {"input": dict(call.sent_back)})
                case "text" if not block["text"].strip():
                    pass
                case "thinking" if not block.get("signature"):
                    # Cut before it was signed: the API would not take it back.
                    pass
                case "text":
                    blocks.append(block | {"text": whole(block["text"])})
                case "thinking":
                    blocks.append(block | {"thinking": whole(block["thinking"])})
                case _:
                    blocks.append(block)
        return Turn(
            model=self._model,
            blocks=tuple(blocks),
            calls=tuple(calls),
            stop_reason=self._stop_reason,
            explanation=self._explanation,
            usage=self._turn_usage(latency_s),
            cleared_results=self._cleared_results,
            cleared_tokens=self._cleared_tokens,
        )

    # -- how ------------------------------------------------------------------------------------

    def _add(self, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "message_start":
                self._model = _text(event["message"], "model")
                self._count(event["message"].get("usage"))
            case "content_block_start":
                if event["index"] != len(self._blocks):
                    raise IndexError(event["index"])
                block = dict(event["content_block"])
                for name in _NEEDED.get(block["type"], ()):
                    _text(block, name)
                self._blocks.append(block)
            case "content_block_delta":
                self._grow(event["index"], event["delta"])
            case "content_block_stop":
                self._stopped.add(event["index"])
            case "message_delta":
                self._stop_reason = event["delta"].get("stop_reason")
                details = event["delta"].get("stop_details") or {}
                said = details.get("explanation") or details.get("category")
                self._explanation = str(said or "")
                self._count(event.get("usage"))
                self._note_edits(event.get("context_management"))
            case _:
                pass

    def _grow(self, index: int, delta: Mapping[str, Any]) -> None:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                block["text"] += delta["text"]
            case "thinking_delta":
                block["thinking"] += delta["thinking"]
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "input_json_delta":
                self._arguments[index] = self._arguments.get(index, "") + delta["partial_json"]
            case _:
                pass

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        """Later counts are totals and overwrite; those that are left out stay."""
        for name, value in (usage or {}).items():
            if value is not None:
                self._usage[name] = value

    def _note_edits(self, management: Mapping[str, Any] | None) -> None:
        for edit in (management or {}).get("applied_edits") or ():
            self._cleared_results += edit.get("cleared_tool_uses") or 0
            self._cleared_tokens += edit.get("cleared_input_tokens") or 0

    def _call(self, index: int, block: Mapping[str, Any]) -> Call:
        raw = self._arguments.get(index, "")
        last = index == len(self._blocks) - 1
        cut = index not in self._stopped or (last and self._stop_reason == "max_tokens")
        given: Any = None
        if raw.strip():
            given = _read(raw)
        elif not cut:
            given = block.get("input") or {}
        if isinstance(given, dict):
            return Call(id=block["id"], tool=block["name"], arguments=given)
        return Call(
            id=block["id"],
            tool=block["name"],
            arguments=whole(raw),
            problem=_CUT if cut else _MALFORMED,
        )

    def _turn_usage(self, latency_s: float | None) -> TurnUsage:
        counted = self._usage
        by_age = counted.get("cache_creation")
        if not isinstance(by_age, Mapping):
            by_age = {}
        in_5m = _number(by_age, "ephemeral_5m_input_tokens")
        in_1h = _number(by_age, "ephemeral_1h_input_tokens")
        created = _number(counted, "cache_creation_input_tokens")
        if in_5m is None and in_1h is None and created is not None:
            # Not told apart: five minutes is what was asked for.
            in_5m, in_1h = created, 0
        return TurnUsage(
            model=self._model,
            input_tokens=_number(counted, "input_tokens"),
            output_tokens=_number(counted, "output_tokens"),
            cache_read_tokens=_number(counted, "cache_read_input_tokens"),
            cache_creation_5m_tokens=in_5m,
            cache_creation_1h_tokens=in_1h,
            latency_s=latency_s,
            stop_reason=self._stop_reason or "",
        )


def whole(text: str) -> str:
    """With the halves of characters that came in two pieces put together, and no others."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read(raw: str) -> Any:
    """What can be sent back as it was meant; None: nothing can."""
    try:
        given = json.loads(raw)
        if _is_deep(given, _MAX_DEPTH):
            return None
        json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return given


def _is_deep(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deep(each, levels - 1) for each in inner)


def _text(of: Mapping[str, Any], name: str) -> str:
    """Raises KeyError or TypeError: there is none."""
    if not isinstance(text := of[name], str):
        raise TypeError(name)
    return text


def _number(of: Mapping[str, Any], name: str) -> int | None:
    count = of.get(name)
    return count if isinstance(count, int) and not isinstance(count, bool) else None
