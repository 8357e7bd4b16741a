"""A tool's arguments as a form to be filled in with an editor."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from campaign.errors import UsageError
from campaign.joining.member import Tool


def blank_form(tool: Tool) -> str:
    """YAML; what can be left out is commented out."""
    required = set(tool.parameters.get("required", ()))
    lines = [f"# {tool.name}: save and leave to call it; leave it empty to do nothing."]
    lines.append("# Several lines: `name: |`, and each line two spaces further in.")
    for name, about in tool.parameters.get("properties", {}).items():
        words = " ".join(str(about.get("description") or about.get("type") or "").split())
        lines += [f"# {words}" if words else "#", f"{name}:" if name in required else f"#{name}:"]
    return "\n".join(lines) + "\n"


def read_form(tool: Tool, text: str) -> dict[str, Any] | None:
    """What was filled in; None: nothing was.

    Raises:
        UsageError: it is no form any more.
    """
    try:
        told = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise UsageError(f"the form for {tool.name} cannot be read: {error}") from error
    if told is None:
        return None
    if not isinstance(told, dict):
        raise UsageError(f"the form for {tool.name} must be lines of `name: value`")
    filled = {str(name): value for name, value in told.items() if value is not None}
    return filled or None
