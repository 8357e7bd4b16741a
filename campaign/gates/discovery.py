"""Finds assertions by where they lie: `<gate>/<module>.py` and `<gate>/<target>/<module>.py`.

Every public coroutine function that a module defines itself is an assertion; its name says what it
asserts. Modules are taken in the order of their names, functions in the order of the file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from campaign.gates.app import LiveApp
from campaign.gates.finding import Finding

Check = Callable[[LiveApp], Awaitable[Finding]]

#: assertions of this module come first: when one fails, nothing else can be judged
VITAL = "health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One assertion, ready to be run."""

    gate: str
    name: str
    vital: bool
    check: Check


def assertions(gate: str, *, target: str, package: str = "campaign.gates") -> tuple[Assertion, ...]:
    """All of a gate: those for any app, then those for `target`; what is vital first.

    Raises:
        ValueError: two have the same name.
    """
    modules = [*_modules(f"{package}.{gate}"), *_modules(f"{package}.{gate}.{target}")]
    found = [assertion for module in modules for assertion in _in_module(gate, module)]
    names = [assertion.name for assertion in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"assertions of the {gate} gate share a name: {', '.join(twice)}")
    return tuple(sorted(found, key=lambda assertion: not assertion.vital))


def _modules(package: str) -> Iterator[ModuleType]:
    try:
        folder = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name and package.startswith(error.name):
            return  # a gate need not have anything for this target
        raise
    for entry in pkgutil.iter_modules([str(Path(place)) for place in folder.__path__]):
        if not entry.ispkg and not entry.name.startswith("_"):
            yield importlib.import_module(f"{package}.{entry.name}")


def _in_module(gate: str, module: ModuleType) -> Iterator[Assertion]:
    vital = module.__name__.rpartition(".")[2] == VITAL
    for name, value in vars(module).items():
        own = inspect.iscoroutinefunction(value) and value.__module__ == module.__name__
        if own and not name.startswith("_"):
            yield Assertion(gate=gate, name=name, vital=vital, check=value)
