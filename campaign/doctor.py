"""What this machine has and lacks for a campaign; each lack comes with how to mend it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import psutil

from campaign.identity import app_identity
from campaign.sandbox import unavailable
from campaign.stack.compose.places import is_compose
from campaign.stack.errors import MissingProgramError
from campaign.stack.places import MIN_FREE_BYTES, free_bytes
from campaign.stack.programs import find_postgres, find_prometheus, program_version

Status: TypeAlias = Literal["ok", "warn", "missing"]

#: where `make setup` puts the wheels from which a deployment's requirements are installed
WHEELS_DIR = Path(__file__).parents[1] / ".cache" / "wheels"

_MIN_PYTHON = (3, 11)
_GOOD_MEMORY_BYTES = 2 * 1024**3
#: what the profiles' loads were measured on; with fewer, load and app starve each other
_GOOD_CORES = 2
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked for. `missing` stops a campaign, `warn` limits it."""

    name: str
    status: Status
    #: version and path, or an amount; what is wrong, when something is
    found: str
    #: what to do about it; empty when all is well
    advice: str = ""


def run_checks(
    *, runs_dir: Path = Path("runs"), wheels_dir: Path = WHEELS_DIR
) -> tuple[Check, ...]:
    """Look at this machine; takes about half a second and changes nothing."""
    return (
        check_python(sys.version_info[:3], executable=sys.executable),
        *(() if is_compose() else _check_programs()),
        check_git(),
        check_wheels(wheels_dir),
        check_disk(free_bytes(runs_dir.absolute())),
        check_memory(psutil.virtual_memory().available),
        check_cores(psutil.cpu_count() or 1),
    )


def _check_programs() -> tuple[Check, ...]:
    """Of what has a container of its own in the compose stack."""
    return (
        check_postgres(),
        check_prometheus(),
        check_sandbox(),
        check_setpriv(system=platform.system(), is_root=os.geteuid() == 0),
        check_browser(),
    )


def check_python(version: tuple[int, ...], *, executable: str) -> Check:
    found = f"{'.'.join(map(str, version))} ({executable})"
    if version >= _MIN_PYTHON:
        return Check(name="Python", status="ok", found=found)
    advice = "install Python 3.11 or newer, then make setup"
    return Check(name="Python", status="missing", found=found, advice=advice)


def check_postgres() -> Check:
    """With its contrib modules."""
    try:
        programs = find_postgres()
    except MissingProgramError as exc:
        return _missing("PostgreSQL", exc)
    found = f"{programs.version} ({programs.bin_dir})"
    return Check(name="PostgreSQL", status="ok", found=found)


def check_prometheus() -> Check:
    """With promtool."""
    try:
        programs = find_prometheus()
    except MissingProgramError as exc:
        return _missing("Prometheus", exc)
    found = f"{programs.version} ({programs.prometheus})"
    return Check(name="Prometheus", status="ok", found=found)


def check_sandbox() -> Check:
    """Starts one, really."""
    problem = unavailable(app_identity())
    if problem is None:
        found = f"{program_version('bwrap')} ({shutil.which('bwrap')}), starts"
        return Check(name="bubblewrap", status="ok", found=found)
    return Check(
        name="bubblewrap",
        status="warn",
        found=problem,
        advice="apt-get install bubblewrap; without it only reference, history and none may work",
    )


def check_git() -> Check:
    git = shutil.which("git")
    if git is None:
        advice = "apt-get install git, or brew install git"
        return Check(name="git", status="missing", found="not on PATH", advice=advice)
    return Check(name="git", status="ok", found=f"{program_version(git)} ({git})")


def check_setpriv(*, system: str, is_root: bool) -> Check:
    """Root cannot do without it: Postgres refuses to run as root."""
    setpriv = shutil.which("setpriv")
    if setpriv is not None:
        found = f"{program_version(setpriv)} ({setpriv})"
        return Check(name="setpriv", status="ok", found=found)
    return Check(
        name="setpriv",
        status="missing" if is_root else "warn",
        found="not on PATH",
        advice=(
            "run as an ordinary user; children of a killed ratchet end at its next start only"
            if system == "Darwin"
            else "apt-get install util-linux"
        ),
    )


def check_wheels(folder: Path) -> Check:
    """From which the app's requirements are installed when they are edited, without a network."""
    count = sum(1 for _ in folder.glob("*.whl"))
    if count:
        return Check(name="app wheels", status="ok", found=f"{count} in {folder}")
    return Check(
        name="app wheels", status="missing", found=f"none in {folder}", advice="make setup"
    )


def check_disk(available_bytes: int) -> Check:
    found = f"{available_bytes / 1e9:.1f} GB free"
    if available_bytes >= MIN_FREE_BYTES:
        return Check(name="disk", status="ok", found=found)
    advice = f"a campaign needs {MIN_FREE_BYTES / 1e9:.1f} GB: old folders in runs/ can go"
    return Check(name="disk", status="missing", found=found, advice=advice)


def check_memory(available_bytes: int) -> Check:
    found = f"{available_bytes / 1e9:.1f} GB free"
    if available_bytes >= _GOOD_MEMORY_BYTES:
        return Check(name="memory", status="ok", found=found)
    advice = "close something: below 2 GB the app may be measured while it swaps"
    return Check(name="memory", status="warn", found=found, advice=advice)


def check_cores(count: int) -> Check:
    found = f"{count}"
    if count >= _GOOD_CORES:
        return Check(name="cores", status="ok", found=found)
    advice = "with one core the load generator starves: expect inconclusive trials"
    return Check(name="cores", status="warn", found=found, advice=advice)


def check_browser() -> Check:
    """For the tests of the web page only."""
    for name in _BROWSERS:
        if path := shutil.which(name):
            return Check(name="chromium", status="ok", found=path)
    return Check(
        name="chromium",
        status="warn",
        found="not on PATH",
        advice="only the browser tests need it: apt-get install chromium",
    )


def _missing(name: str, exc: MissingProgramError) -> Check:
    return Check(name=name, status="missing", found=str(exc), advice=exc.hint)
