"""How many tokens a request has, what of it is in the prompt cache, and context editing."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: what the model sees instead of a result that was cleared
CLEARED = "[Old tool result content cleared]"
_CHARS_PER_TOKEN = 4


def tokens(text: str) -> int:
    """About four characters each."""
    return -(-len(text) // _CHARS_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A request as the model would see it, with its tokens by how they are billed."""

    request: dict[str, Any]
    fresh_tokens: int
    read_tokens: int
    created_tokens: int
    applied_edits: list[dict[str, Any]] | None

    @property
    def total_tokens(self) -> int:
        return self.fresh_tokens + self.read_tokens + self.created_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """One cacheable piece; `marked` when a breakpoint ends here."""

    text: str
    marked: bool


@dataclass(kw_only=True)
class PromptCache:
    """Prefixes that were put there; nothing is ever forgotten."""

    _known: set[str] = field(default_factory=set)

    def read(self, request: dict[str, Any]) -> Prompt:
        """Edit the context as the request asks, then look it up and put it there."""
        edited, applied = _edited(request)
        segments = list(_segments(edited))
        digest = hashlib.sha256()
        total, hit, marked = 0, 0, 0
        added: set[str] = set()
        for segment in segments:
            digest.update(segment.text.encode())
            total += tokens(segment.text)
            if digest.hexdigest() in self._known:
                hit = total
            if segment.marked:
                marked = total
                added.add(digest.hexdigest())
        self._known |= added
        read = min(hit, marked)
        return Prompt(
            request=edited,
            fresh_tokens=total - marked,
            read_tokens=read,
            created_tokens=marked - read,
            applied_edits=applied,
        )


def _segments(request: dict[str, Any]) -> Iterator[_Segment]:
    blocks: list[Any] = [*request.get("tools", [])]
    system = request.get("system", [])
    blocks += [{"type": "text", "text": system}] if isinstance(system, str) else system
    for message in request["messages"]:
        content = message["content"]
        given = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks += [{"role": message["role"], **block} for block in given]
    last = len(blocks) - 1
    for index, block in enumerate(blocks):
        marked = bool(block.get("cache_control"))
        if index == last and request.get("cache_control"):
            marked = True
        plain = {name: value for name, value in block.items() if name != "cache_control"}
        yield _Segment(text=json.dumps(plain, sort_keys=True), marked=marked)


def _edited(request: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """Clear old tool results as the request's `context_management` says."""
    managed = request.get("context_management")
    if managed is None:
        return request, None
    edited: dict[str, Any] = copy.deepcopy(request)
    applied: list[dict[str, Any]] = []
    for edit in managed.get("edits", []):
        if edit.get("type") == "clear_tool_uses_20250919":
            applied += _clear_results(edited, edit)
    return edited, applied


def _clear_results(request: dict[str, Any], edit: dict[str, Any]) -> list[dict[str, Any]]:
    size = sum(tokens(segment.text) for segment in _segments(request))
    if size < edit.get("trigger", {}).get("value", 100_000):
        return []
    blocks = [
        block
        for message in request["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    spared = set(edit.get("exclude_tools") or ())
    kept = {
        block["id"] for block in blocks if block["type"] == "tool_use" and block["name"] in spared
    }
    results = [
        block
        for block in blocks
        if block["type"] == "tool_result" and block["tool_use_id"] not in kept
    ]
    keep = edit.get("keep", {}).get("value", 3)
    old = results[:-keep] if keep else results
    before = sum(tokens(json.dumps(block.get("content"))) for block in old)
    for block in old:
        block["content"] = CLEARED
    after = len(old) * tokens(json.dumps(CLEARED))
    return [
        {
            "type": edit["type"],
            "cleared_tool_uses": len(old),
            "cleared_input_tokens": max(0, before - after),
        }
    ]
