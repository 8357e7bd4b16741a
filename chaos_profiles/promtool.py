"""Whether invariants.yaml's PromQL is PromQL: Prometheus's own parser says so, before any start."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from chaos_profiles.document import KeyPath
from chaos_profiles.problems import Problem
from chaos_profiles.promql import LATE_NAMES, ExpressionError, expand, fill
from chaos_profiles.reading import File
from chaos_profiles.schema import InvariantsFile

#: whatever the late names stand for, a number and `s` can take their place
_STAND_INS = {name: "4" if name.endswith("_S") else "4s" for name in LATE_NAMES} | {"L": "0.3"}
_COMPLAINT = re.compile(r'rule (\d+), "[^"]*": could not parse expression: (.*)')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expression:
    path: KeyPath
    text: str


def check_promql(file: File[InvariantsFile]) -> Iterator[Problem]:
    """What promtool does not understand, expression by expression; nothing where there is none."""
    promtool = shutil.which("promtool")
    expressions = tuple(_expressions(file.content))
    if promtool is None or not expressions:
        return
    for number, complaint in _complaints(promtool, expressions):
        message = f"is not PromQL: {complaint}"
        yield file.document.problem(expressions[number].path, message)


def _expressions(content: InvariantsFile) -> Iterator[_Expression]:
    """All that can be put together; what cannot is told by `checks.check_invariants`."""
    for number, entry in enumerate(content.invariants):
        for key in ("value", "samples", "offered"):
            try:
                text = expand(getattr(entry, key), shared=content.shared, select=entry.select)
            except ExpressionError:
                continue
            path = ("invariants", number, key)
            yield _Expression(path=path, text=fill(text, _STAND_INS))


def _complaints(promtool: str, expressions: tuple[_Expression, ...]) -> Iterator[tuple[int, str]]:
    """The index of each expression that is refused, and why."""
    rules = [
        {"record": f"expression_{number}", "expr": each.text}
        for number, each in enumerate(expressions)
    ]
    with tempfile.TemporaryDirectory(prefix="ratchet-promql-") as scratch:
        path = Path(scratch) / "rules.yml"
        YAML().dump({"groups": [{"name": "check", "rules": rules}]}, path)
        done = subprocess.run(
            [promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False
        )
    for match in _COMPLAINT.finditer(done.stdout + done.stderr):
        yield int(match.group(1)) - 1, match.group(2).removesuffix(")").strip()
