"""What is asked of the Messages API. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from campaign.model import Effort
from operators.claude.settings import ClaudeSettings
from operators.session import ToolSpec

CONTEXT_MANAGEMENT_BETA = "context-management-2025-06-27"
#: tools that the API knows by itself, with the same arguments
_TYPED = {"bash": "bash_20250124", "str_replace_based_edit_tool": "text_editor_20250728"}
#: their results stay: short, and worth more than a page of logs
_NEVER_CLEARED = ("read_ticket", "file_plan", "write_note", "deploy", "list_deployments")
_MARK = {"type": "ephemeral"}
_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})
_UNSUPPORTED = ("adaptive", "not support", "extra input", "unexpected", "not permitted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What a provider and model are asked for beyond the plain protocol."""

    #: the provider leaves the results of old calls out of the prompt when it grows
    context_editing: bool = True
    adaptive_thinking: bool = True
    #: the provider itself marks the end of the prompt for its cache; else it is marked here
    automatic_cache: bool = True

    def without(self, refusal: str) -> Offers | None:
        """What is left when a request was refused with these words; None: they name none of it.

        A model without adaptive thinking, or a gateway that has not heard of context editing, is
        still one that can be worked with.
        """
        said = refusal.lower()
        if not any(words in said for words in _UNSUPPORTED):
            return None
        if self.context_editing and any(
            words in said for words in ("context_management", "clear_tool_uses", "anthropic-beta")
        ):
            return replace(self, context_editing=False)
        if self.adaptive_thinking and "thinking" in said:
            return replace(self, adaptive_thinking=False)
        if self.automatic_cache and "cache_control" in said:
            return replace(self, automatic_cache=False)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is the same in every request of a session."""

    model: str
    effort: Effort | None
    role: str
    specs: tuple[ToolSpec, ...]
    settings: ClaudeSettings


def parameters(
    standing: Standing, messages: Sequence[Mapping[str, Any]], offers: Offers
) -> dict[str, Any]:
    """The arguments of `messages.create` (of `beta.messages` when there are `betas` in them)."""
    asked: dict[str, Any] = {
        "model": standing.model,
        "max_tokens": standing.settings.max_output_tokens,
        "system": _system(standing),
        "tools": [_tool(spec) for spec in standing.specs],
        "messages": list(messages) if offers.automatic_cache else _marked(messages),
        "stream": True,
    }
    if offers.automatic_cache:
        asked["cache_control"] = _MARK
    if offers.adaptive_thinking:
        # Without `display`, newer models keep their thinking to themselves.
        asked["thinking"] = {"type": "adaptive", "display": "summarized"}
    if standing.effort is not None:
        asked["output_config"] = {"effort": standing.effort}
    if offers.context_editing:
        asked["betas"] = [CONTEXT_MANAGEMENT_BETA]
        asked["context_management"] = {"edits": [_clearing(standing)]}
    return asked


def _system(standing: Standing) -> list[dict[str, Any]]:
    """The role, and the descriptions of those tools that the API takes without one."""
    told = [f"{spec.name}: {spec.description}" for spec in standing.specs if spec.name in _TYPED]
    texts = [standing.role]
    if told:
        texts.append("\n\n".join(["More about tools of yours.", *told]))
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts]
    blocks[-1]["cache_control"] = _MARK
    return blocks


def _tool(spec: ToolSpec) -> dict[str, Any]:
    if spec.name in _TYPED:
        return {"type": _TYPED[spec.name], "name": spec.name}
    return {
        "name": spec.name,
        "description": spec.description,
        "input_schema": dict(spec.parameters),
    }


def _clearing(standing: Standing) -> dict[str, Any]:
    settings = standing.settings
    offered = {spec.name for spec in standing.specs}
    return {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "input_tokens", "value": settings.clear_above_tokens},
        "keep": {"type": "tool_uses", "value": settings.keep_results},
        "clear_at_least": {"type": "input_tokens", "value": settings.clear_at_least_tokens},
        "exclude_tools": [name for name in _NEVER_CLEARED if name in offered],
    }


def _marked(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """With a mark for the cache at the end of a copy; what it was made of is left as it is."""
    *before, last = messages
    content = list(last["content"])
    for index in reversed(range(len(content))):
        if content[index]["type"] not in _UNMARKABLE:
            content[index] = {**content[index], "cache_control": _MARK}
            break
    return [*before, {**last, "content": content}]
