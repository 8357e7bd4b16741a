"""A few requests for each operation of a document, always the same ones.

Making them takes seconds, so they are kept on this machine by what they depend on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

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


def cases(document: Mapping[str, Any], *, cache_dir: Path) -> tuple[Case, ...]:
    """All requests; those that cannot be sent as JSON (raw bytes) are left out."""
    file = cache_dir / f"{_key(document)}.json"
    try:
        return _CASES.validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        made = tuple(_made(document, cache_dir=cache_dir))
    cache_dir.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".part")
    half.write_bytes(_CASES.dump_json(made))
    half.replace(file)
    return _CASES.validate_json(file.read_bytes())


def _key(document: Mapping[str, Any]) -> str:
    from schemathesis import __version__  # noqa: PLC0415 - a second to import, so only when asked

    depends_on = [document, __version__, SEED, EXAMPLES]
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:24]


def _made(document: Mapping[str, Any], *, cache_dir: Path) -> Sequence[Case]:
    import schemathesis  # noqa: PLC0415 - see above
    from hypothesis.configuration import set_hypothesis_home_dir  # noqa: PLC0415 - comes with it
    from hypothesis.errors import Unsatisfiable  # noqa: PLC0415 - comes with it
    from schemathesis.core.result import Err  # noqa: PLC0415 - see above

    made: list[Case] = []
    # Else hypothesis keeps its tables of characters in the current folder.
    set_hypothesis_home_dir(cache_dir / "hypothesis")
    schema = schemathesis.openapi.from_dict(dict(document))
    for result in schema.get_all_operations():
        if isinstance(result, Err):
            raise result.err()
        operation = result.ok()
        modes: dict[Kind, schemathesis.GenerationMode] = {
            "valid": schemathesis.GenerationMode.POSITIVE,
            "invalid": schemathesis.GenerationMode.NEGATIVE,
        }
        for kind, mode in modes.items():
            try:
                drawn = _drawn(operation.as_strategy(generation_mode=mode))
            except Unsatisfiable:
                continue  # nothing that is said about it can be broken
            made += [case for one in drawn if (case := _case(one, kind)) is not None]
    return made


def _drawn(strategy: Any) -> list[Any]:
    from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: PLC0415 - see above

    drawn: list[Any] = []

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(one: Any) -> None:
        drawn.append(one)

    draw()
    return drawn


def _case(one: Any, kind: Kind) -> Case | None:
    from schemathesis.core import NotSet  # noqa: PLC0415 - see above

    body = None if isinstance(one.body, NotSet) else one.body
    case = Case(
        operation=one.operation.definition.raw["operationId"],
        method=one.method.upper(),
        path=one.path,
        kind=kind,
        path_parameters=dict(one.path_parameters or {}),
        query=dict(one.query or {}),
        body=body,
    )
    try:
        json.dumps([case.path_parameters, case.query, body], allow_nan=False).encode()
    except (TypeError, ValueError):
        return None
    return case
