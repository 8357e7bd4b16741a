"""What a verification leaves behind: one JSON object, and everything that it rests on."""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import psutil

from campaign.model import Calibration
from campaign.verification.experiment import Purpose, Scope
from campaign.verification.finding import REQUIRED_MARGIN, Finding
from campaign.verification.measured import Measured
from campaign.verification.proof import Proof
from chaos_profiles import PROFILES_ROOT

Json: TypeAlias = dict[str, Any]

EVIDENCE_FILE = "evidence.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the values depend on beside the profiles."""

    target: str
    scope: Scope
    began_at: float
    #: None until the first stack is calibrated
    calibration: Calibration | None


def evidence(proofs: Iterable[Proof], setting: Setting, *, at: float, complete: bool) -> Json:
    """Everything, as JSON; `complete` is False for what was stopped before its end."""
    calibration = setting.calibration
    return {
        "target": setting.target,
        "verified_at": datetime.fromtimestamp(setting.began_at, tz=UTC).isoformat(),
        "duration_s": round(at - setting.began_at, 1),
        "complete": complete,
        "repeats": setting.scope.repeats,
        "quick": setting.scope.quick,
        "required_margin": REQUIRED_MARGIN,
        "harness": {"version": version("ratchet"), "commit": _commit()},
        "machine": _machine(),
        "calibration": None if calibration is None else asdict(calibration),
        "profiles": [told(proof) for proof in proofs],
    }


def write(content: Json, file: Path) -> None:
    """Whole or not at all, so that an interrupted write leaves the one before."""
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    draft.replace(file)


def told(proof: Proof) -> Json:
    """One profile; `others` to `all_fixes` are null when they were not played."""
    return {
        "profile": proof.profile,
        "proven": proof.proven,
        "red": [_run(found) for found in proof.of(Purpose.RED)],
        "green": [_run(found) for found in proof.of(Purpose.GREEN)],
        "others": _only(proof.of(Purpose.OTHERS)),
        "unmasked": _only(proof.of(Purpose.UNMASKED)),
        "all_fixes": _only(proof.of(Purpose.ALL_FIXES)),
        "hacks": [_hack(found) for found in proof.of(Purpose.HACK)],
        "problems": list(proof.problems),
    }


def _only(found: tuple[Finding, ...]) -> Json | None:
    return _run(found[0]) if found else None


def _run(found: Finding) -> Json:
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "problem": found.problem,
        "measured": [_measured(one) for one in found.measured],
        "tightest": _measured(found.tightest) if found.tightest else None,
        "duration_s": found.duration_s,
        "attempt": found.attempt,
    }


def _hack(found: Finding) -> Json:
    name = found.name.removeprefix("hack ")
    return {
        "name": name,
        "kind": name.replace("_", " "),
        "caught": found.caught is not None,
        "caught_by": found.caught.by if found.caught else None,
        "caught_what": found.caught.what if found.caught else None,
        **_run(found),
    }


def _measured(measured: Measured) -> Json:
    """JSON has no infinity: where nothing at all was seen, `margin` is null and `value` is 0."""
    margin = measured.margin
    finite = None if margin is None or math.isinf(margin) else round(margin, 2)
    return {**asdict(measured), "margin": finite}


def _machine() -> Json:
    return {
        "system": platform.platform(),
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }


@cache
def _commit() -> str:
    """The harness's own commit, or nothing where it is installed without its repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=PROFILES_ROOT, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
