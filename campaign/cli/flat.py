"""Commands that share options: a dataclass of options as one parameter of each of them.

    @flat
    def run(options: Play, *, first: int | None = None) -> None: ...

has every field of `Play` as an option of its own, in the dataclass's order.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, as typer is to see it: parameters that are dataclasses are taken apart."""
    hints = get_type_hints(command, include_extras=True)
    parts: dict[str, Any] = {n: kind for n, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in parts:
            parameters.extend(_parameters(parts[parameter.name]))
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=kind))

    def told(**values: Any) -> None:
        for name, kind in parts.items():
            own = {field.name: values.pop(field.name) for field in fields(kind)}
            values[name] = kind(**own)
        command(**values)

    told.__name__, told.__doc__ = command.__name__, command.__doc__
    told.__annotations__ = {each.name: each.annotation for each in parameters}
    told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return told


def _parameters(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [_parameter(field, hints[field.name]) for field in fields(kind)]


def _parameter(field: Field[Any], annotation: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
