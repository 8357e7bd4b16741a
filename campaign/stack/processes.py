"""One child process: started as a given user, logged to its own file, stopped for certain."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import psutil

from campaign.identity import Identity, launcher
from campaign.stack.errors import ComponentFailedError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping
    from pathlib import Path

_TAIL_BYTES = 64 * 1024
#: how long the processes of a child that ended may take to follow it, before they are killed
_DESCENDANTS_GRACE_S = 0.5
#: what was killed ends as soon as it is its turn; only one that the kernel holds takes longer
_KILLED_WITHIN_S = 10.0
_LOOK_S = 0.02
_ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """How to start, and how to stop, one process."""

    name: str
    argv: tuple[str, ...]
    log_file: Path
    cwd: Path
    identity: Identity
    #: added to the minimal environment that every child gets (`minimal_environment`)
    env: Mapping[str, str] = field(default_factory=dict)
    #: asks the process to finish; SIGKILL follows after `stop_timeout_s`
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    #: what the kernel sends when the harness itself is killed (Linux)
    death_signal: str = "KILL"
    #: True for what starts a sandbox: a set-uid bubblewrap is refused under no-new-privs
    may_gain_privileges: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExit:
    """How a process ended."""

    name: str
    #: as the shell's: negative for a signal
    returncode: int
    log_tail: tuple[str, ...]

    @property
    def reason(self) -> str:
        if self.returncode >= 0:
            return f"ended with exit code {self.returncode}"
        return f"was killed by {_signal_name(-self.returncode)}"


class Child:
    """A running process. Start it from the main thread (see `launcher`)."""

    def __init__(self, spec: ProcessSpec, process: Process, *, log_start: int) -> None:
        self.spec = spec
        self._process = process
        self._log_start = log_start
        self.create_time = _create_time(process.pid)

    @classmethod
    async def start(cls, spec: ProcessSpec) -> Self:
        """Start `spec`; raises ComponentFailedError when it cannot even be executed."""
        prefix = launcher(
            spec.identity,
            death_signal=spec.death_signal,
            may_gain_privileges=spec.may_gain_privileges,
        )
        spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        with spec.log_file.open("ab") as log:
            log_start = log.tell()
            try:
                process = await asyncio.create_subprocess_exec(
                    *prefix,
                    *spec.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    cwd=spec.cwd,
                    env=minimal_environment() | dict(spec.env),
                    # Ctrl-C on the terminal is for the harness, which then stops us in order.
                    start_new_session=True,
                )
            except OSError as exc:
                raise ComponentFailedError(spec.name, f"cannot be started: {exc}", ()) from exc
        return cls(spec, process, log_start=log_start)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def ended(self) -> ProcessExit:
        """Wait for the process to end; any number may wait, each may be cancelled."""
        returncode = await self._process.wait()
        return ProcessExit(
            name=self.spec.name, returncode=returncode, log_tail=tuple(self.log_tail())
        )

    async def stop(self) -> ProcessExit:
        """Ask, wait, then kill; what the process itself had started goes with it."""
        family = descendants(self.pid)
        self.send(self.spec.stop_signal)
        try:
            async with asyncio.timeout(self.spec.stop_timeout_s):
                exit_ = await self.ended()
        except TimeoutError:
            family = [*family, *descendants(self.pid)]
            self.send(signal.SIGKILL)
            exit_ = await self.ended()
        await asyncio.to_thread(kill_processes, family, grace_s=_DESCENDANTS_GRACE_S)
        return exit_

    def send(self, number: signal.Signals) -> None:
        if self.is_running:
            self._process.send_signal(number)

    def log_tail(self, lines: int = 40) -> list[str]:
        """The last lines that this very process wrote."""
        return log_tail(self.spec.log_file, lines=lines, start=self._log_start)


async def run_as(
    identity: Identity, command: list[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> str:
    """Run a short command as `identity` to its end; its output.

    Raises:
        ComponentFailedError: it did not exit with 0.
    """
    prefix = launcher(identity)
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env=minimal_environment() | dict(env or {}),
        start_new_session=True,
    )
    output = (await process.communicate())[0].decode(errors="replace")
    if process.returncode != 0:
        name = command[0].rsplit("/", 1)[-1]
        reason = f"ended with exit code {process.returncode}"
        raise ComponentFailedError(name, reason, tuple(output.splitlines()))
    return output


def minimal_environment() -> dict[str, str]:
    """What every child gets: nothing of ours that could be a secret."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": "/nonexistent", "PYTHONUNBUFFERED": "1"}


def log_tail(log_file: Path, *, lines: int, start: int = 0) -> list[str]:
    """At most the last `lines` lines after byte `start`, of at most 64 KB."""
    try:
        with log_file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            begun = start if start <= size else 0  # it was cut meanwhile
            log.seek(max(begun, size - _TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_processes(processes: list[psutil.Process], *, grace_s: float) -> None:
    """Wait up to `grace_s` for `processes` to end by themselves, then kill the rest.

    They have ended when this returns; it is for their parents, and no matter here, to collect them.
    psutil compares creation times, so a pid that was taken over by a stranger is not touched.
    """
    alive = _still_alive(processes, within_s=grace_s)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _still_alive(alive, within_s=_KILLED_WITHIN_S)


def _still_alive(processes: list[psutil.Process], *, within_s: float) -> list[psutil.Process]:
    """Those that have not ended after so long; returns as soon as all have."""
    deadline = time.monotonic() + within_s
    while (alive := [each for each in processes if is_alive(each)]) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return alive


def is_alive(process: psutil.Process) -> bool:
    """False too for one that has ended and was not collected yet."""
    try:
        return process.is_running() and process.status() not in _ENDED
    except psutil.NoSuchProcess:
        return False


def _create_time(pid: int) -> float:
    """Epoch seconds; 0.0 (which matches no process) when it has ended already."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
