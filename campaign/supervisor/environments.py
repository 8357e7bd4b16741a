"""Python environments for the app, one per set of requirements, made from a cache of wheels.

A requirements file comes from whoever edits the app, and is installed by the harness, outside the
sandbox. So only plain requirements are let through (names, versions, extras, markers: no
options, addresses, paths), only wheels of the cache are installed, and no build step ever runs.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from campaign.identity import Identity, launcher

#: The oldest Python the target apps run on.
OLDEST = (3, 11)

#: What an app needs to run, and what only its tests need besides.
REQUIREMENTS, DEVELOPMENT = "requirements.txt", "requirements-dev.txt"

_LARGEST_REQUIREMENTS_BYTES = 64 << 10
_MARKER = "ratchet-complete.json"
_INSTALL_TIMEOUT_S = 600

#: Readable by every local user, whatever our own umask is.
_UMASK = 0o022

_DESCRIBE = (
    "import ensurepip, json, sys, venv;"
    "print(json.dumps([list(sys.version_info[:3]), sys.base_prefix, sys.executable]))"
)


class EnvironmentRefusedError(Exception):
    """The requirements cannot be installed; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that the app's user can execute."""

    path: str
    version: tuple[int, int, int]
    #: Folder of its standard library; must be visible in the sandbox.
    prefix: str


def find_interpreter(identity: Identity, *, wanted: Path | None = None) -> Interpreter:
    """Return the first usable Python: ``wanted`` alone if given, else the system's, else ours.

    Raises:
        EnvironmentRefusedError: none can be executed by that user; says what was wrong with each.
    """
    candidates = (
        [str(wanted)]
        if wanted is not None
        else ["/usr/bin/python3", getattr(sys, "_base_executable", sys.executable)]
    )
    problems = []
    for candidate in dict.fromkeys(candidates):
        found = _describe(candidate, identity)
        if isinstance(found, Interpreter):
            return found
        problems.append(f"{candidate}: {found}")
    who = "this user" if identity.is_ours else f"user id {identity.uid}"
    raise EnvironmentRefusedError(
        f"no Python {OLDEST[0]}.{OLDEST[1]} that {who} can execute ({'; '.join(problems)})"
    )


def read_requirements(path: Path) -> tuple[str, ...]:
    """Return the requirements of a file, normalised and sorted; none when there is no file.

    Raises:
        EnvironmentRefusedError: a line is not a plain requirement, or the file is no plain file.
    """
    lines = _plain_text(path).splitlines()
    wanted = []
    for number, line in enumerate(lines, start=1):
        text = line.split(" #", 1)[0].strip()
        if text and not text.startswith("#"):
            wanted.append(_requirement(text, place=f"{path.name}:{number}"))
    return tuple(sorted(wanted))


def prepare_wheels(requirements: Path, wheel_cache: Path, *, python: str | None = None) -> None:
    """Fill ``wheel_cache`` with what ``requirements`` needs, from the package index.

    Needs the network: part of setting up, never of a campaign. ``python`` must be the interpreter
    that the app will run on (`find_interpreter`), since wheels depend on it.

    Raises:
        EnvironmentRefusedError: pip failed; the message ends with its last words.
    """
    wheel_cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ratchet-wheels-") as folder:
        _run([python or sys.executable, "-m", "venv", folder], env=None)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        fetch = ["wheel", "--quiet", "--wheel-dir", str(wheel_cache)]
        found = ["--find-links", str(wheel_cache), "--requirement", str(requirements)]
        _run([*pip, *fetch, *found], env=None)


class Environments:
    """The cache of environments. Safe for several processes at once (a lock file for each one).

    An environment is made where it stays, since its scripts name its own path, and counts only
    once a marker has been renamed into it; an unfinished one is thrown away.
    """

    def __init__(self, folder: Path, *, wheel_cache: Path, interpreter: Interpreter) -> None:
        self._folder = folder
        self._wheel_cache = wheel_cache
        self.interpreter = interpreter

    async def ensure(self, source: Path, *, development: bool = False) -> Path:
        """Return the environment for ``source/requirements.txt``, made if need be.

        With ``development``, for its tests: with what ``requirements-dev.txt`` asks for as well.

        Raises:
            EnvironmentRefusedError: a requirement cannot be had from the wheel cache.
        """
        return await asyncio.to_thread(self.ensure_blocking, source, development=development)

    def ensure_blocking(self, source: Path, *, development: bool = False) -> Path:
        wanted = read_requirements(source / REQUIREMENTS)
        if development:
            wanted = tuple(sorted({*wanted, *read_requirements(source / DEVELOPMENT)}))
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        target = self._folder / self._key(wanted)
        with _locked(target.with_suffix(".lock")):
            if not (target / _MARKER).exists():
                shutil.rmtree(target, ignore_errors=True)
                self._make(target, wanted)
        return target

    def _key(self, wanted: tuple[str, ...]) -> str:
        identity = [wanted, self.interpreter.path, self.interpreter.version]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]

    def _make(self, target: Path, wanted: tuple[str, ...]) -> None:
        try:
            _run([self.interpreter.path, "-m", "venv", str(target)], env=_clean_environment())
            if wanted:
                self._install(target, wanted)
        except EnvironmentRefusedError:
            shutil.rmtree(target, ignore_errors=True)
            raise
        marker = target / f"{_MARKER}.new"
        marker.write_text(json.dumps({"requirements": wanted}))
        marker.rename(target / _MARKER)

    def _install(self, target: Path, wanted: tuple[str, ...]) -> None:
        pip = [str(target / "bin/python"), "-m", "pip", "--isolated"]
        options = ["--quiet", "--disable-pip-version-check", "--no-index", "--only-binary=:all:"]
        links = ["--find-links", str(self._wheel_cache)]
        _run([*pip, "install", *options, *links, *wanted], env=_clean_environment())


def _describe(candidate: str, identity: Identity) -> Interpreter | str:
    try:
        done = subprocess.run(
            [*launcher(identity), candidate, "-c", _DESCRIBE],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_clean_environment(),
        )
    except OSError as error:
        return str(error.strerror)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["cannot be executed"])[-1]
    version, prefix, path = json.loads(done.stdout)
    if tuple(version) < OLDEST:
        return f"is {'.'.join(map(str, version))}"
    return Interpreter(path=path, version=(version[0], version[1], version[2]), prefix=prefix)


def _plain_text(path: Path) -> str:
    """Read the file without following a link: it could point at what only we may read."""
    try:
        with open(path, "rb", opener=_without_following) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise EnvironmentRefusedError(f"{path.name} is not a plain file")
            content = file.read(_LARGEST_REQUIREMENTS_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise EnvironmentRefusedError(f"{path.name}: {error.strerror}") from error
    if len(content) > _LARGEST_REQUIREMENTS_BYTES:
        raise EnvironmentRefusedError(f"{path.name} is too long")
    return content.decode(errors="replace")


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _requirement(text: str, *, place: str) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise EnvironmentRefusedError(
            f"{place}: {text!r} is not a plain requirement such as aiohttp==3.14.5"
        ) from error
    if requirement.url is not None:
        raise EnvironmentRefusedError(f"{place}: {text!r}: addresses are not allowed")
    return str(requirement)


def _clean_environment() -> dict[str, str]:
    """Return an environment in which no setting of ours changes what pip or Python does."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PIP_CONFIG_FILE": os.devnull}


def _run(command: Sequence[str], *, env: dict[str, str] | None) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=env,
            umask=_UMASK,
            timeout=_INSTALL_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentRefusedError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise EnvironmentRefusedError(_explain(done.stdout + done.stderr))


def _explain(output: str) -> str:
    """Return what pip says is missing, else its errors, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    missing = [line for line in errors if line.startswith("No matching distribution found for ")]
    if missing:
        what = missing[0].removeprefix("No matching distribution found for ")
        return f"requirements: {what} is not in the wheel cache"
    return "; ".join(errors or lines[-1:] or ["pip failed"])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
