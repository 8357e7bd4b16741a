"""Makes requests from an OpenAPI document: a program of its own, which imports nothing of ours.

Its standard input is JSON: `document`, `seed`, and `examples`, how many of each kind each operation
gets. Its standard output is a JSON list of what `cases.Case` tells of one.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core import NotSet
from schemathesis.core.result import Err

_MODES = {
    "valid": schemathesis.GenerationMode.POSITIVE,
    "invalid": schemathesis.GenerationMode.NEGATIVE,
}


def main() -> None:
    asked = json.load(sys.stdin.buffer)
    made = list(_made(asked["document"], number=asked["seed"], examples=asked["examples"]))
    json.dump(made, sys.stdout)


def _made(document: dict[str, Any], *, number: int, examples: int) -> Iterator[dict[str, Any]]:
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        if isinstance(result, Err):
            raise result.err()
        for kind, mode in _MODES.items():
            strategy = result.ok().as_strategy(generation_mode=mode)
            try:
                drawn = _drawn(strategy, number=number, examples=examples)
            except Unsatisfiable:
                continue  # nothing that is said about it can be broken
            yield from (case for one in drawn if _is_json(case := _case(one, kind)))


def _drawn(strategy: Any, *, number: int, examples: int) -> list[Any]:
    drawn: list[Any] = []

    @seed(number)
    @settings(
        max_examples=examples,
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


def _case(one: Any, kind: str) -> dict[str, Any]:
    return {
        "operation": one.operation.definition.raw["operationId"],
        "method": one.method.upper(),
        "path": one.path,
        "kind": kind,
        "path_parameters": dict(one.path_parameters or {}),
        "query": dict(one.query or {}),
        "body": None if isinstance(one.body, NotSet) else one.body,
    }


def _is_json(case: dict[str, Any]) -> bool:
    try:
        json.dumps(case, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        return False
    return True


if __name__ == "__main__":
    main()
