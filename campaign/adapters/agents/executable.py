"""Where an agent's program is."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from operators.command import AgentAdapter, RunnerError


def find_executable(adapter: AgentAdapter) -> Path:
    """The program, links resolved.

    Looked for in ``$RATCHET_<NAME>`` (such as RATCHET_CLAUDE), then as the adapter says: at its
    absolute path or on PATH, then where a Python package bundles it.

    Raises:
        RunnerError: it is nowhere.
    """
    name = Path(adapter.executable).name
    variable = "RATCHET_" + "".join(char if char.isalnum() else "_" for char in name).upper()
    for found in (os.environ.get(variable), adapter.executable, _bundled(adapter.bundled)):
        resolved = None if not found else shutil.which(found)
        if resolved is not None:
            return Path(resolved).resolve()
    raise RunnerError(
        f"{adapter.title} is not installed: {adapter.executable} is not on PATH; install it, or "
        f"set {variable} to its path"
    )


def _bundled(place: str | None) -> str | None:
    """Without importing the package."""
    if place is None:
        return None
    package, _, path = place.partition("/")
    spec = find_spec(package)
    for folder in () if spec is None else spec.submodule_search_locations or ():
        return str(Path(folder) / path)
    return None
