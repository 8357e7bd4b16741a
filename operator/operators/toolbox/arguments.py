"""From what a caller sent to a tool's arguments, with errors that say what is expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from operators.toolbox.bounds import one_line, require_plain
from operators.toolbox.errors import ToolError
from operators.toolbox.tool import A, Arguments, Tool

_MAX_PROBLEMS = 5
_NAME_CHARS = 60


def parse(tool: Tool[A], sent: Any) -> A:
    """The tool's arguments.

    Raises:
        ToolError: each argument that is wrong, and what is expected of it.
    """
    if not isinstance(sent, Mapping):
        raise ToolError(f"{tool.name}: its arguments must be one object; {_takes(tool.arguments)}")
    try:
        require_plain(sent)
        return tool.arguments.model_validate(dict(sent))
    except ToolError as refused:
        raise ToolError(f"{tool.name}: {refused}") from None
    except ValidationError as wrong:
        raise ToolError(_told(tool, wrong)) from None


def unknown(name: str, known: Iterable[str]) -> ToolError:
    """There is no such tool; with the one that was probably meant."""
    names = list(known)
    meant = did_you_mean(name, names)
    return ToolError(
        f"there is no tool named {one_line(name, _NAME_CHARS)!r}{meant}; "
        f"the tools are: {', '.join(names)}"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:_NAME_CHARS].lower(), list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def schema(arguments: type[Arguments]) -> dict[str, Any]:
    """JSON Schema: an object, each property described; what may be left out is just optional."""
    made = arguments.model_json_schema()
    return {
        "type": "object",
        "properties": {name: _property(of) for name, of in made.get("properties", {}).items()},
        "required": list(made.get("required", [])),
        "additionalProperties": False,
    }


def _property(made: dict[str, Any]) -> dict[str, Any]:
    """Without titles; "or null" and a default of null only say that it may be left out."""
    plain = {
        key: of
        for key, of in made.items()
        if key not in {"title", "anyOf"} and not (key == "default" and of is None)
    }
    choices = [choice for choice in made.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        plain = choices[0] | plain
    elif choices:
        plain["anyOf"] = choices
    return plain


def _told(tool: Tool[Any], wrong: ValidationError) -> str:
    problems = wrong.errors(include_url=False, include_context=False, include_input=False)
    told = [_problem(tool.arguments, problem) for problem in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        told.append(f"and {len(problems) - _MAX_PROBLEMS} more")
    return "\n".join((f"{tool.name}: the arguments are wrong; nothing was done.", *told))


def _problem(arguments: type[Arguments], problem: Any) -> str:
    fields = arguments.model_fields
    if not problem["loc"]:
        return f"- {problem['msg'].removeprefix('Value error, ')}"
    name = str(problem["loc"][0])
    shown = one_line(name, _NAME_CHARS)
    if problem["type"] == "extra_forbidden":
        return f"- {shown}: there is no such argument{did_you_mean(name, fields)}; " + _takes(
            arguments
        )
    expected = fields[name].description if name in fields else ""
    said = "it is required" if problem["type"] == "missing" else problem["msg"]
    said = one_line(said.removeprefix("Value error, "), 300)
    return f"- {shown}: {said}. Expected: {expected}"


def _takes(arguments: type[Arguments]) -> str:
    names = [
        name if of.is_required() else f"{name}?" for name, of in arguments.model_fields.items()
    ]
    return f"it takes {', '.join(names)}" if names else "it takes none"
