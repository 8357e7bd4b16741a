"""What a person types, or a shell passes, as the arguments of a tool."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from campaign.errors import UsageError
from campaign.joining.member import Tool

#: JSON Schema's types whose values are typed as JSON; others are text as it stands
_AS_JSON = frozenset({"integer", "number", "boolean", "array", "object"})


def typed_arguments(tool: Tool, text: str) -> dict[str, Any]:
    """`text` as JSON, as `name=value` words, or as what the tool cannot do without.

    With one required argument the whole text is its value, as it stands: `sql select 'a b'`.
    With several, words fill them in order: `http_request GET /healthz timeout_s=2`.

    Raises:
        UsageError: what is wrong, and how the tool is called.
    """
    text = text.strip()
    if text.startswith("{"):
        return json_arguments(tool, text)
    required = list(tool.parameters.get("required", ()))
    if len(required) == 1 and not _is_named(tool, text):
        return {required[0]: _value(tool, required[0], text)} if text else {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}", hint=usage(tool)) from error
    return _from_words(tool, words, required)


def named_arguments(tool: Tool, pairs: Sequence[str]) -> dict[str, Any]:
    """From `name=value` each.

    Raises:
        UsageError: there is no such argument, or that is no value of it.
    """
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r} is no name=value", hint=usage(tool))
        _require(tool, name)
        arguments[name] = _value(tool, name, value)
    return arguments


def json_arguments(tool: Tool, text: str) -> dict[str, Any]:
    """Raises UsageError."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"that is no JSON: {error}", hint=usage(tool)) from error
    if not isinstance(told, dict):
        raise UsageError("the arguments must be a JSON object", hint=usage(tool))
    return told


def usage(tool: Tool) -> str:
    """One line: its name and arguments, those in brackets can be left out."""
    required = set(tool.parameters.get("required", ()))
    names = (
        name if name in required else f"[{name}=…]"
        for name in tool.parameters.get("properties", {})
    )
    return " ".join((tool.name, *names))


def _from_words(tool: Tool, words: Sequence[str], required: list[str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for word in words:
        if _is_named(tool, word):
            arguments |= named_arguments(tool, (word,))
            continue
        free = [name for name in required if name not in arguments]
        if not free:
            raise UsageError(f"{word!r} is one word too many", hint=usage(tool))
        arguments[free[0]] = _value(tool, free[0], word)
    return arguments


def _is_named(tool: Tool, text: str) -> bool:
    """Whether it begins with `name=`, of an argument that there is."""
    name, equals, _ = text.partition("=")
    return bool(equals) and name in tool.parameters.get("properties", {})


def _require(tool: Tool, name: str) -> None:
    known: Mapping[str, Any] = tool.parameters.get("properties", {})
    if name not in known:
        raise UsageError(
            f"{tool.name} has no argument {name!r}", hint=f"there are: {', '.join(known)}"
        )


def _value(tool: Tool, name: str, text: str) -> Any:
    kind = tool.parameters.get("properties", {}).get(name, {}).get("type")
    kinds = {kind} if isinstance(kind, str) else set(kind or ())
    if not kinds & _AS_JSON:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if "string" in kinds:
            return text
        raise UsageError(f"{name}: {text!r} is no {kind}", hint=usage(tool)) from error
