"""Runs git on one repository, with nobody's configuration but ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from campaign.adapters.workspace.errors import GitFailedError

_TIMEOUT_S = 60.0

#: No hook, monitor, filter or housekeeping ever runs; an object is on disk when git returns.
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.fsync": "committed",
    "gc.auto": "0",
}

_ENVIRONMENT = {
    "HOME": "/dev/null",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_AUTHOR_NAME": "Ratchet",
    "GIT_AUTHOR_EMAIL": "ratchet@localhost",
    "GIT_COMMITTER_NAME": "Ratchet",
    "GIT_COMMITTER_EMAIL": "ratchet@localhost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    returncode: int
    stdout: bytes
    stderr: str


class Git:
    """One bare repository. The path is given outright, so git looks for no other and trusts it."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir

    async def run(
        self,
        *words: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """What the command prints.

        Raises:
            GitFailedError: it ended with an error, or took longer than a minute.
        """
        return (await self._done(words, stdin, cwd or self._git_dir, environment or {})).stdout

    async def complaints(
        self, *words: str, stdin: bytes, environment: Mapping[str, str] | None = None
    ) -> str:
        """What the command says on its standard error, though it succeeds."""
        return (await self._done(words, stdin, self._git_dir, environment or {})).stderr

    async def line(self, *words: str, stdin: bytes = b"") -> str:
        """The one line that the command prints."""
        return (await self.run(*words, stdin=stdin)).decode().strip()

    async def answer(self, *words: str) -> str | None:
        """The one line that a question's answer prints; None when the answer is no (1)."""
        ended = await self._run(words, b"", self._git_dir, {})
        if ended.returncode not in {0, 1}:
            raise GitFailedError(f"git {words[0]}: {ended.stderr or ended.returncode}")
        return ended.stdout.decode().strip() if ended.returncode == 0 else None

    async def _done(
        self, words: tuple[str, ...], stdin: bytes, cwd: Path, environment: Mapping[str, str]
    ) -> _Ended:
        ended = await self._run(words, stdin, cwd, environment)
        if ended.returncode != 0:
            raise GitFailedError(f"git {words[0]}: {ended.stderr or ended.returncode}")
        return ended

    async def _run(
        self, words: tuple[str, ...], stdin: bytes, cwd: Path, environment: Mapping[str, str]
    ) -> _Ended:
        settings = (part for pair in _SETTINGS.items() for part in ("-c", "=".join(pair)))
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *settings,
                *words,
                cwd=cwd,
                env=self._environment() | dict(environment),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # Ctrl-C on the terminal is for the harness: a commit is not to be cut short by it.
                start_new_session=True,
            )
        except OSError as exc:
            raise GitFailedError(f"it cannot be started ({exc}); is git installed?") from exc
        return await _finish(process, stdin)

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {**_ENVIRONMENT, "PATH": path, "GIT_DIR": str(self._git_dir)}


async def _finish(process: asyncio.subprocess.Process, stdin: bytes) -> _Ended:
    """Wait for the end; whatever cuts the waiting short ends the process too."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            stdout, stderr = await process.communicate(stdin)
    except TimeoutError as exc:
        raise GitFailedError(f"it took longer than {_TIMEOUT_S:g} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None  # noqa: S101 - communicate() waited for it
    return _Ended(
        returncode=process.returncode,
        stdout=stdout,
        stderr=stderr.decode(errors="replace").strip(),
    )
