"""Options of commands as variables of the environment: `--budget-usd` is RATCHET_BUDGET_USD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from campaign.errors import UsageError

_OPTION = re.compile(r"--[a-z]+(?:-[a-z]+)*")

_T = TypeVar("_T")


def variable_of(name: str) -> str:
    """Of an option that a parameter or field of that name stands for."""
    return f"RATCHET_{name.upper()}"


def given(environment: Mapping[str, str], names: tuple[str, ...]) -> Mapping[str, str]:
    """What is said of `names`, by their variables; what is empty is not said."""
    said = {variable_of(name): environment.get(variable_of(name), "").strip() for name in names}
    return {variable: text for variable, text in said.items() if text}


def told_by(kind: type[_T], environment: Mapping[str, str], names: tuple[str, ...]) -> _T:
    """A dataclass of options, with those of `names` that the environment says.

    Raises:
        UsageError: each variable that is wrong, and what it must be.
    """
    said = given(environment, names)
    values = {name: said[variable_of(name)] for name in names if variable_of(name) in said}
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise UsageError("; ".join(map(_problem, error.errors()))) from error


def _problem(error: Mapping[str, object]) -> str:
    """One of pydantic's: "Input should be …, unable to …"."""
    place = error["loc"]
    assert isinstance(place, tuple)  # noqa: S101 - as pydantic promises
    must, _, _ = str(error["msg"]).removeprefix("Input should be ").partition(", unable to")
    if must == "a valid boolean":
        must = "true or false"
    return f"{variable_of(str(place[0]))}={error['input']}: it must be {must}"


def in_variables(text: str, variables: Mapping[str, str]) -> str:
    """What is told of options, told of the variables that stand for them.

    `variables`: option, such as "--model", to variable; other options stay.
    """
    return _OPTION.sub(lambda found: variables.get(found[0], found[0]), text)
