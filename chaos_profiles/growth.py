"""Between a profile's `growth:` and the target's data module, which makes the rows.

A data module is plain Python beside target.yaml (`data.py`): `Growth`, a frozen dataclass of what
can be asked for; `seed()` and `tables(growth)`, each a list of tables to COPY; `AFTER_SEED`,
statements to run after any of them.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import threading
import types
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from chaos_profiles.document import KeyPath
from chaos_profiles.problems import did_you_mean

_READING = threading.Lock()


class Table(Protocol):
    """One COPY."""

    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def rows(self) -> Iterable[tuple[Any, ...]]: ...


class DataModule(Protocol):
    """What a target's data.py offers."""

    Growth: type
    AFTER_SEED: tuple[str, ...]

    def seed(self) -> Sequence[Table]: ...
    def tables(self, growth: Any) -> Sequence[Table]: ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GrowthProblem:
    """A key of `growth:` that the data module does not understand."""

    path: KeyPath
    message: str


class GrowthError(ValueError):
    """A growth was refused; `problems` has the place of each key that is wrong."""

    def __init__(self, problems: Iterable[GrowthProblem]) -> None:
        self.problems = tuple(problems)
        lines = (f"{'.'.join(map(str, p.path)) or 'growth'}: {p.message}" for p in self.problems)
        super().__init__("; ".join(lines))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TargetData:
    """The rows of a target: its seed, and what a profile's `growth:` adds."""

    module: DataModule

    @property
    def after_load(self) -> tuple[str, ...]:
        """SQL to run after each load."""
        return tuple(self.module.AFTER_SEED)

    def seed(self) -> Sequence[Table]:
        return self.module.seed()

    def growth(self, growth: dict[str, Any]) -> Sequence[Table]:
        """The tables that `growth` asks for; none for an empty one.

        Raises:
            GrowthError: the data module does not understand it.
        """
        return self.module.tables(self.parse(growth)) if growth else ()

    def parse(self, growth: dict[str, Any]) -> Any:
        """`growth` as the data module's own `Growth`.

        Raises:
            GrowthError: with every key that is wrong.
        """
        unknown = tuple(_unknown_keys(self.module.Growth, growth, ()))
        try:
            parsed: Any = TypeAdapter(self.module.Growth).validate_python(growth)
        except ValidationError as exc:
            wrong = (_told(error["loc"], error["msg"]) for error in exc.errors())
            raise GrowthError((*unknown, *wrong)) from exc
        if unknown:
            raise GrowthError(unknown)
        return parsed


def load_target_data(folder: Path) -> TargetData:
    """The data module of the target in `folder`.

    Raises:
        FileNotFoundError: it has none.
    """
    return TargetData(module=cast("DataModule", _module(folder / "data.py")))


def _module(file: Path) -> types.ModuleType:
    """Read once, and by one thread: a half-read one in `sys.modules` would be taken for whole."""
    with _READING:
        return _read(file)


@lru_cache
def _read(file: Path) -> types.ModuleType:
    return _import(f"{__package__}.{file.parent.name}.data", file)


def _import(name: str, file: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise FileNotFoundError(f"{file} is missing: the target's rows come from it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while they are made
    spec.loader.exec_module(module)
    return module


def _told(loc: KeyPath, message: str) -> GrowthProblem:
    told = message.removeprefix("Input ").removeprefix("Value error, ")
    return GrowthProblem(path=loc, message=told)


def _unknown_keys(kind: type, value: Any, path: KeyPath) -> Iterator[GrowthProblem]:
    """Keys for which a dataclass has no field, at any depth: pydantic would let them pass."""
    if not isinstance(value, dict):
        return
    hints = get_type_hints(kind)
    for key, inner in value.items():
        if key not in hints:
            message = f"unknown key; {did_you_mean(key, hints)}"
            yield GrowthProblem(path=(*path, key), message=message)
            continue
        for option in (hints[key], *get_args(hints[key])):
            if isinstance(option, type) and dataclasses.is_dataclass(option):
                yield from _unknown_keys(option, inner, (*path, key))
