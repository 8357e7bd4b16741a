"""A document against a pydantic model: pydantic's errors in our words, with lines."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from chaos_profiles.document import Document, KeyPath
from chaos_profiles.problems import Problem, ProfileError, did_you_mean

ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(document: Document, model: type[ModelT]) -> ModelT:
    """The document as `model`.

    Raises:
        ProfileError: with every problem that pydantic finds.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as exc:
        raise ProfileError(problems_of(exc, document, model, at=())) from exc


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel], *, at: KeyPath
) -> Iterator[Problem]:
    """`error` came of validating the part of the document `at` by `model`."""
    for details in error.errors(include_url=False):
        path = _without_branches(details["loc"], document, at)
        yield document.problem(path, _message(details, model))


def _without_branches(loc: KeyPath, document: Document, at: KeyPath) -> KeyPath:
    """Pydantic also puts the names of a union's members into the path: drop what is no key."""
    node: Any = document.data
    for step in at:
        node = node[step]
    path = list(at)
    for number, step in enumerate(loc):
        last = number == len(loc) - 1
        match node, step:
            case dict(), str() if step in node or last:
                node = node.get(step)
            case list(), int() if step < len(node):
                node = node[step]
            case _:
                continue
        path.append(step)
    return path


def _message(details: ErrorDetails, model: type[BaseModel]) -> str:
    name = str(details["loc"][-1]) if details["loc"] else ""
    match details["type"]:
        case "extra_forbidden":
            known = _fields_at(model, details["loc"][:-1])
            return f"unknown key; {did_you_mean(name, known)}"
        case "missing":
            return f"is missing; {_description(model, details['loc'])}".rstrip("; ")
        case "value_error":
            return str(details["ctx"]["error"])
        case _:
            # pydantic writes "Input should be …", which reads well after the field's name
            message = details["msg"].removeprefix("Input ")
            return f"{message}, not {_shown(details['input'])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - one line of a terminal


def _fields_at(model: type[BaseModel], loc: KeyPath) -> tuple[str, ...]:
    found = _model_at(model, loc)
    return () if found is None else tuple(found.model_fields)


def _description(model: type[BaseModel], loc: KeyPath) -> str:
    found = _model_at(model, loc[:-1])
    field = None if found is None else found.model_fields.get(str(loc[-1]))
    return "" if field is None else field.description or ""


def _model_at(model: type[BaseModel], loc: KeyPath) -> type[BaseModel] | None:
    """The model that governs the mapping at `loc`."""
    current: type[BaseModel] | None = model
    for step in loc:
        if isinstance(step, int) or current is None:
            continue
        field = current.model_fields.get(step)
        current = None if field is None else _model_in(field.annotation)
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `list[Entry] | None` speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, tuple, dict, Union, types.UnionType):
        inner = (_model_in(argument) for argument in get_args(annotation))
        return next((found for found in inner if found is not None), None)
    return None
