"""What a target's users do: its behaviours, from a module of ours or from a file of the user's."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from loadgen.calls import Behaviour

_READING = threading.Lock()


class ClientsError(ValueError):
    """No behaviours can be had from there; the message says why."""


def load_clients(place: str) -> tuple[type[Behaviour[Any]], ...]:
    """`BEHAVIOURS` of a module (`loadgen.chat_db_app`) or of a file (`/my/target/clients.py`).

    The file may import Python's own library, `loadgen` and what is installed beside it.

    Raises:
        ClientsError: it is not there, does not load, or has no behaviours.
    """
    try:
        module = (
            _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        )
    except Exception as exc:  # a user's module may raise anything
        raise ClientsError(f"{place} cannot be loaded: {exc!r}") from exc
    return _checked(place, getattr(module, "BEHAVIOURS", ()))


def _from_file(file: Path) -> ModuleType:
    name = f"{__name__}_of_{file.parent.name}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    with _READING:  # a half-read one in `sys.modules` would be taken for whole
        # dataclasses and pydantic look their module up while they are made
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return module


def _checked(place: str, found: Iterable[Any]) -> tuple[type[Behaviour[Any]], ...]:
    kinds = tuple(found)
    if not kinds:
        raise ClientsError(f"{place} has no BEHAVIOURS: a tuple of subclasses of Behaviour")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Behaviour)):
            raise ClientsError(f"{place}: {kind!r} in BEHAVIOURS is no subclass of Behaviour")
        for attribute in ("name", "params_model"):
            if not hasattr(kind, attribute):
                raise ClientsError(f"{place}: {kind.__name__} has no {attribute}")
    return kinds
