"""What a request to a model must not ask for: the provider would reach for the world outside.

A model's API can be told to search the web, fetch a page, run code or call somebody's MCP server,
all on the provider's machines: a way out of a sandbox that has none. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: tools that the agent itself carries out; every other kind is the provider's
_OWN_TYPES = frozenset({"apply_patch", "custom", "function", "local_shell"})
_OWN_FAMILIES = ("bash_", "computer_", "memory_", "text_editor_", "tool_search_tool_")
#: the same where tools have no type
_OWN_KEYS = (frozenset({"functionDeclarations"}), frozenset({"function_declarations"}))
#: a group of tools
_GROUP = "namespace"

#: of a request: they bring tools along, or are one
_WAYS_OUT = frozenset({"container", "mcp_servers", "plugins", "prompt", "web_search_options"})
#: of a part of a message: an address that the provider would fetch
_ADDRESSES = frozenset({"fileUri", "file_uri", "file_url", "image_url", "url"})
_FETCHED = ("http:", "https:", "ftp:", "gs:", "//")
#: what a model or a tool said is words, whatever it looks like
_WORDS = frozenset(
    {"args", "arguments", "functionCall", "functionResponse", "function_call", "function_response"}
)
_CALLS = frozenset({"server_tool_use", "tool_use"})
_MESSAGES = ("system", "messages", "input", "contents", "systemInstruction", "system_instruction")
_DEEPEST = 60


def way_out(body: bytes) -> str:
    """Why the request must not be let through; empty: it may be."""
    if not body:
        return ""
    try:
        request = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return "the request is no JSON that everybody reads the same way"
    if not isinstance(request, dict):
        return "the request is no JSON object"
    for key in sorted(_WAYS_OUT & set(request)):
        # A text is what the oldest APIs call their prompt; else it is one that the provider keeps.
        if request[key] and not (key == "prompt" and isinstance(request[key], str)):
            return f"{key} would have the provider act; only tools of the agent's own are open"
    for tool in _listed(request.get("tools")):
        if not _is_own(tool):
            return f"the tool {_name(tool)} is the provider's; only the agent's own are open"
    try:
        found = next(_addresses([request.get(key) for key in _MESSAGES], 0), "")
    except RecursionError:
        return "the request is nested too deeply"
    return f"{found} would have the provider fetch it; send the content itself" if found else ""


def _is_address(text: str) -> bool:
    return text.strip().lower().startswith(_FETCHED)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that comes twice one reader takes the first, another the last."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError
    return content


def _is_own(tool: Any) -> bool:
    if not isinstance(tool, Mapping):
        return False
    kind = tool.get("type")
    if kind is None:
        return "input_schema" in tool or frozenset(tool) in _OWN_KEYS
    if not isinstance(kind, str):
        return False
    if kind == _GROUP:
        return all(_is_own(each) for each in _listed(tool.get("tools")))
    return kind in _OWN_TYPES or kind.startswith(_OWN_FAMILIES)


def _name(tool: Any) -> str:
    if not isinstance(tool, Mapping):
        return "without a name"
    return str(tool.get("type") or ", ".join(map(str, tool)))[:100]


def _listed(content: Any) -> Sequence[Any]:
    """One that is no list is looked at like the only one of a list."""
    if isinstance(content, list):
        return content
    return () if content is None else (content,)


def _addresses(content: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(content, list):
        for each in content:
            yield from _addresses(each, depth + 1)
        return
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key in _WORDS or (key == "input" and content.get("type") in _CALLS):
            continue
        if key in _ADDRESSES and isinstance(value, str) and _is_address(value):
            yield f"{key} {value[:100]}"
        else:
            yield from _addresses(value, depth + 1)
