"""Finds the system's own Postgres and Prometheus, and says how to get them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from campaign.stack.errors import MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MIN_POSTGRES = (15,)
MIN_PROMETHEUS = (2, 40)
_POSTGRES_TOOLS = ("postgres", "initdb", "pg_basebackup")
_POSTGRES_MODULES = ("pg_stat_statements", "auto_explain")
#: outside PATH: Debian and Ubuntu, Red Hat, Homebrew on Apple silicon and on Intel
_POSTGRES_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
_VERSION = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPrograms:
    """One installation of Postgres; all its programs are of the same version."""

    bin_dir: Path
    version: str

    @property
    def major(self) -> int:
        return version_tuple(self.version)[0]

    def program(self, name: str) -> str:
        return str(self.bin_dir / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusPrograms:
    """Prometheus and the tool that checks its files."""

    prometheus: Path
    promtool: Path
    version: str


def find_postgres(*, root: Path = Path("/")) -> PostgresPrograms:
    """The first on PATH that is new enough, else the newest in the usual folders below `root`.

    Raises:
        MissingProgramError: none, or too old, or without its contrib modules.
    """
    found = list(_installations(root))
    fit = [one for one in found if version_tuple(one.version) >= MIN_POSTGRES]
    if not fit:
        seen = ", ".join(f"{one.version} in {one.bin_dir}" for one in found)
        raise MissingProgramError(
            f"PostgreSQL {MIN_POSTGRES[0]} or newer is needed, "
            f"{f'only {seen} was found' if seen else 'none was found'}",
            hint=postgres_hint(),
        )
    if missing := missing_modules(fit[0]):
        raise MissingProgramError(
            f"PostgreSQL {fit[0].version} lacks {', '.join(missing)}", hint=postgres_hint()
        )
    return fit[0]


def missing_modules(programs: PostgresPrograms) -> tuple[str, ...]:
    """The contrib modules that are preloaded and are not installed."""
    folders = (programs.bin_dir.parent / "lib", *_module_folder(programs))
    return tuple(
        name
        for name in _POSTGRES_MODULES
        if not any(list(folder.glob(f"**/{name}.[sd]*")) for folder in folders)
    )


def find_prometheus() -> PrometheusPrograms:
    """Raises MissingProgramError when there is none on PATH, or it is too old."""
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if prometheus is None or promtool is None:
        missing = "promtool" if prometheus else "prometheus"
        raise MissingProgramError(f"{missing} was not found on PATH", hint=prometheus_hint())
    version = program_version(prometheus)
    if version_tuple(version) < MIN_PROMETHEUS:
        raise MissingProgramError(
            f"Prometheus {version} is too old, 2.40 or newer is needed", hint=prometheus_hint()
        )
    return PrometheusPrograms(prometheus=Path(prometheus), promtool=Path(promtool), version=version)


def program_version(program: str | Path) -> str:
    """The first number that `program --version` prints; "0" when it prints none."""
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "0"
    match = _VERSION.search(done.stdout + done.stderr)
    return match.group() if match else "0"


def version_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def postgres_hint() -> str:
    if sys.platform == "darwin":
        return "brew install postgresql@16"
    return "apt-get install postgresql postgresql-contrib"


def prometheus_hint() -> str:
    return "brew install prometheus" if sys.platform == "darwin" else "apt-get install prometheus"


def _installations(root: Path) -> Iterator[PostgresPrograms]:
    seen: set[Path] = set()
    for folder in (*_on_path(), *_newest_first(_usual_folders(root))):
        if folder in seen or not all((folder / tool).exists() for tool in _POSTGRES_TOOLS):
            continue
        seen.add(folder)
        yield PostgresPrograms(bin_dir=folder, version=program_version(folder / "postgres"))


def _on_path() -> Iterator[Path]:
    """Debian links single programs into PATH; their real folder holds all of them."""
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent


def _usual_folders(root: Path) -> Iterator[Path]:
    for pattern in _POSTGRES_FOLDERS:
        yield from root.glob(pattern)


def _newest_first(folders: Iterable[Path]) -> list[Path]:
    return sorted(folders, key=_major_in_path, reverse=True)


def _major_in_path(folder: Path) -> int:
    match = _VERSION.search(folder.parent.name)
    return version_tuple(match.group())[0] if match else 0


def _module_folder(programs: PostgresPrograms) -> Iterator[Path]:
    config = programs.bin_dir / "pg_config"
    if not config.exists():
        return
    done = subprocess.run(
        [str(config), "--pkglibdir"], capture_output=True, text=True, timeout=10, check=False
    )
    if done.returncode == 0:
        yield Path(done.stdout.strip())
