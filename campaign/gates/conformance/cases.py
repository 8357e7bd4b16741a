"""A few requests for each operation of a document, always the same ones.

Making them takes seconds, so they are kept on this machine by what they depend on. They are made in
a process of its own: hypothesis also tries the constants of whatever modules are loaded, and here
that would be another number of them each time.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from campaign.errors import HarnessError

#: Fixed: another one breaks a plausible app now and then, by a rarity nobody is here to find.
SEED = 20251121
#: for each operation, of each kind
EXAMPLES = 4

Kind: TypeAlias = Literal["valid", "invalid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request, before it is aimed at anything."""

    operation: str
    method: str
    #: as in the document: "/api/users/{id}"
    path: str
    kind: Kind
    path_parameters: Mapping[str, Any]
    query: Mapping[str, Any]
    #: JSON; None for none
    body: Any


_CASES = TypeAdapter(tuple[Case, ...])
_MAKING = Path(__file__).with_name("making.py")
#: many times what it takes on a busy machine
_TIMEOUT_S = 300.0


def cases(document: Mapping[str, Any], *, cache_dir: Path) -> tuple[Case, ...]:
    """All requests; those that cannot be sent as JSON (raw bytes) are left out.

    Raises:
        HarnessError: they cannot be made.
    """
    file = cache_dir / f"{_key(document)}.json"
    try:
        return _CASES.validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        made = _made(document)
    cache_dir.mkdir(parents=True, exist_ok=True)
    # Another campaign may be about to keep the same ones.
    with tempfile.NamedTemporaryFile(dir=cache_dir, delete=False) as half:
        half.write(_CASES.dump_json(made))
    Path(half.name).replace(file)
    return made


def _key(document: Mapping[str, Any]) -> str:
    libraries = [version("schemathesis"), version("hypothesis")]
    depends_on = [document, libraries, SEED, EXAMPLES, _MAKING.read_text(encoding="utf-8")]
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:24]


def _made(document: Mapping[str, Any]) -> tuple[Case, ...]:
    # As text: a program that has a file would be one of the modules whose constants are tried.
    command = [sys.executable, "-I", "-c", _MAKING.read_text(encoding="utf-8")]
    asked = json.dumps({"document": document, "seed": SEED, "examples": EXAMPLES})
    with tempfile.TemporaryDirectory(prefix="ratchet-cases-") as scratch:
        try:
            done = subprocess.run(
                command,
                input=asked.encode(),
                cwd=scratch,  # hypothesis keeps its tables of characters in the current folder
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=True,
            )
            return _CASES.validate_json(done.stdout)
        except subprocess.CalledProcessError as error:
            why = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
            problem = "".join(why) or f"exit code {error.returncode}"
        except (subprocess.TimeoutExpired, ValidationError) as error:
            problem = str(error)
    raise HarnessError(f"no requests can be made from the app's OpenAPI document: {problem}")
