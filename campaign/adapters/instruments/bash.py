"""One bash that reads commands from a pipe, with all that it starts.

After each command it prints a line that nobody can guess, made for that command, so that a command
cannot end itself by what it prints. The command has no input, and the pipes of bash are not its.
What it leaves behind in bash (a trap, a function that cannot be removed) may still see that line,
so that what stands there is believed only where it is an exit code; else the shell is ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from campaign.adapters.instruments.cgroup import Group
from campaign.adapters.instruments.surroundings import Start, Surroundings, starting
from campaign.adapters.instruments.usage import descendants
from campaign.model import CommandResult
from campaign.ports import PortError

#: of a command's output the last so much is kept
KEPT_BYTES = 64 << 10
LONGEST_COMMAND_BYTES = 128 << 10

_CHUNK_BYTES = 256 << 10
#: up to here output is read as fast as it comes, then about 25 MB/s: reading costs us time
_UNPACED_BYTES = 4 << 20
_PAUSE_S = 0.01
_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 10.0
_REAP_TIMEOUT_S = 2.0
_LOOK_S = 0.05
#: all that bash itself says behind a marker
_CODE = re.compile(rb"[0-9]{1,3}")
#: bash's own way out, above all numbers that a command would use
_OUT = 198
#: of ten such groups one processor gets as much as one of the harness's
_GROUP_NICE = 10
_FIRST_TO_DIE = 1000


class ShellEndedError(Exception):
    """Bash is gone: `result` has its exit code and what the command printed until then."""

    def __init__(self, result: CommandResult) -> None:
        super().__init__(f"bash ended with {result.exit_code}")
        self.result = result


class _FalseEndError(Exception):
    """The command's end was said by somebody else than bash."""


class Bash:
    """Make it with `start`; one command at a time; `end` it in any case."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        output: asyncio.StreamReader,
        *,
        way_out: asyncio.ReadTransport,
        group: Group | None,
    ) -> None:
        self._process = process
        self._output = output
        self._way_out = way_out
        self._group = group
        self._held = bytearray()
        self._dropped_bytes = 0
        #: the process above all others inside, as the host counts; None: unconfined
        self._init: int | None = None
        #: kept open: bwrap writes its end there, and must not fail at that
        self._status_fd: int | None = None
        self._init_pidfd: int | None = None
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, surroundings: Surroundings, *, group: Group | None = None) -> Self:
        """Raises PortError: there is no sandbox to be had, or no bash."""
        with starting(surroundings) as start:
            bash = await cls._spawn(start, group)
            try:
                await bash.settle(start.status_fd)
            except BaseException:
                await asyncio.shield(bash.end())
                raise
        return bash

    async def settle(self, status_fd: int | None) -> None:
        """Wait for it to answer, and see to it that it cannot take what the harness needs."""
        await self._write(f"exec {_OUT}>&1\n")
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self.run(":")
        except ShellEndedError as error:
            raise PortError("shell", f"did not start: {error.result.output.strip()}") from error
        except TimeoutError as error:
            raise PortError("shell", f"did not start in {_START_TIMEOUT_S:.0f} s") from error
        if status_fd is not None:
            self._status_fd = os.dup(status_fd)
            self._init = int(json.loads(os.read(status_fd, 4096).split(b"\n")[0])["child-pid"])
            self._init_pidfd = os.pidfd_open(self._init)
        for pid in descendants(self.top):
            _write_to(pid, "autogroup", _GROUP_NICE)
            _write_to(pid, "oom_score_adj", _FIRST_TO_DIE)
            if self._group is not None:
                with suppress(OSError):
                    self._group.take(pid)

    @property
    def top(self) -> int:
        """The process that all others are below, as the host counts."""
        return self._process.pid if self._init is None else self._init

    async def run(self, command: str) -> CommandResult:
        """Whatever it prints, no more than `KEPT_BYTES` of it is held, plus a note of the rest.

        Raises:
            ShellEndedError: bash ended before the command did, or because of it; or the command
                made it useless.
        """
        self._held.clear()
        self._dropped_bytes = 0
        marker = secrets.token_hex(16)
        await self._write(_script(command, marker))
        reading = asyncio.create_task(self._read_until(b"\n" + marker.encode() + b" "))
        try:
            while not reading.done() and self._process.returncode is None:
                await asyncio.wait({reading}, timeout=_LOOK_S)
            # What it printed last may still be on the way.
            await asyncio.wait({reading}, timeout=1.0)
            code = reading.result() if reading.done() else None
        except _FalseEndError:
            await self.end()
            raise ShellEndedError(self._result(_exit_code(None))) from None
        finally:
            reading.cancel()
        if code is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _END_TIMEOUT_S)
            raise ShellEndedError(self._result(_exit_code(self._process.returncode)))
        return self._result(code)

    @property
    def printed(self) -> str:
        """What the command under way, or the last one, has printed."""
        return self._result(0).output

    async def end(self) -> None:
        """Kill it with all that it started, and wait until all of it is gone; once is enough."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(), name="shell-end")
        await asyncio.shield(self._ending)

    # -- how ------------------------------------------------------------------------------------

    @classmethod
    async def _spawn(cls, start: Start, group: Group | None) -> Self:
        reading, writing = os.pipe()
        reader = asyncio.StreamReader(limit=_CHUNK_BYTES)
        try:
            process = await asyncio.create_subprocess_exec(
                *start.argv,
                env=dict(start.environment),
                cwd=start.cwd,
                pass_fds=start.inherited,
                stdin=asyncio.subprocess.PIPE,
                stdout=writing,
                stderr=writing,
                start_new_session=start.new_session,
                process_group=None if start.new_session else 0,
            )
        except OSError as error:
            os.close(reading)
            raise PortError("shell", f"{start.argv[0]} cannot be started: {error}") from error
        finally:
            os.close(writing)
        way_out, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
        )
        return cls(process, reader, way_out=way_out, group=group)

    async def _end(self) -> None:
        try:
            if self._init_pidfd is not None:
                # Its parent, bwrap outside, then reaps it and ends by itself.
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._init_pidfd, signal.SIGKILL)
                await _until_gone(self._init_pidfd)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), _REAP_TIMEOUT_S)
            self._kill_group()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _END_TIMEOUT_S)
            await _until_group_gone(self._process.pid)
        finally:
            for descriptor in (self._init_pidfd, self._status_fd):
                if descriptor is not None:
                    os.close(descriptor)
            self._way_out.close()
            if self._process.stdin is not None:
                self._process.stdin.close()
            if self._group is not None:
                self._group.remove()

    async def _write(self, text: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        with suppress(ConnectionError):
            self._process.stdin.write(text.encode(errors="surrogateescape"))
            await self._process.stdin.drain()

    async def _read_until(self, marker: bytes) -> int | None:
        """The exit code behind the marker; None at the end of all output.

        Raises:
            _FalseEndError: behind it stands something else.
        """
        read_bytes = 0
        while chunk := await self._output.read(_CHUNK_BYTES):
            begin = max(0, len(self._held) - len(marker) - 8)
            self._held += chunk
            place = self._held.find(marker, begin)
            if place >= 0 and (end := self._held.find(b"\n", place + 1)) >= 0:
                said = bytes(self._held[place + len(marker) : end])
                del self._held[place:]
                if not _CODE.fullmatch(said):
                    raise _FalseEndError
                return int(said)
            self._forget()
            read_bytes += len(chunk)
            if read_bytes > _UNPACED_BYTES:
                await asyncio.sleep(_PAUSE_S)
        return None

    def _forget(self) -> None:
        surplus = len(self._held) - 2 * KEPT_BYTES
        if surplus > 0:
            self._dropped_bytes += surplus
            del self._held[:surplus]

    def _result(self, exit_code: int) -> CommandResult:
        kept = bytes(self._held[-KEPT_BYTES:])
        dropped = self._dropped_bytes + len(self._held) - len(kept)
        output = kept.decode(errors="replace")
        if dropped:
            output = f"[{dropped} bytes before this are not shown]\n{output}"
        return CommandResult(exit_code=exit_code, output=output)

    def _kill_group(self) -> None:
        """Without a sandbox, what stayed in the process group; with one, what is left of bwrap."""
        if self._init is None or self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _script(command: str, marker: str) -> str:
    """The end is a line of its own, which bash does not read before the command is over.

    What the command does to its own input and outputs ends with it. The empty line is for bash's
    parser, which does not know a `{` right after an unfinished quotation. A function or an alias
    may be called what the end's own commands are: none is used for a word that is quoted, and none
    comes before `unset` once that variable is set, which also takes the exit code.
    """
    quoted = "'" + command.replace("'", "'\\''") + "'"
    ended = (
        "POSIXLY_CORRECT=$?; \\unset -f builtin; "
        f"\\builtin printf '\\n%s %d\\n' {marker} \"$POSIXLY_CORRECT\" >&{_OUT}; "
        "\\unset POSIXLY_CORRECT"
    )
    return f"eval {quoted} </dev/null >&{_OUT} 2>&1 {_OUT}>&-\n\n{{ {ended}; }} 2>/dev/null\n"


def _exit_code(returncode: int | None) -> int:
    """As bash itself counts: a signal is 128 and its number."""
    if returncode is None:
        return -1
    return 128 - returncode if returncode < 0 else returncode


def _write_to(pid: int, name: str, value: int) -> None:
    """Where the system does not have it, or not for us, other bounds must do."""
    with suppress(OSError):
        Path(f"/proc/{pid}/{name}").write_text(str(value))


async def _until_gone(pidfd: int) -> None:
    """The first process of a sandbox is gone only after all others are."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    while not poll.poll(0) and time.monotonic() < deadline:  # noqa: ASYNC110 - the kernel tells
        await asyncio.sleep(_LOOK_S)


async def _until_group_gone(group: int) -> None:
    """What was killed ends when the kernel comes to it: bash may be gone before its children."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    # Darwin's word for a group in which nothing is left but what nobody has asked after.
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            await asyncio.sleep(_LOOK_S)
