"""One started process, perhaps with bubblewrap around it: its signals and its end.

Processes are spawned with ``posix_spawn``: it can give a descriptor the number that the child
expects (the listener is 3) and inherits nothing that was not named. They are spawned from the main
thread, since "die with the parent" means the thread that made the child.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

#: Descriptors of the child. The listener's number is part of the app's contract.
STANDARD_ERROR = 2
LISTEN_FD = 3
STATUS_FD = 4
ARGUMENTS_FD = 5
FILTER_FD = 6

#: Descriptors are moved above this before they get their final number, so that none overwrites
#: another on the way.
_CLEAR_OF_TARGETS = 16

#: bwrap, like a shell, reports a signal as 128 + its number.
_SIGNALLED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended: by itself with a code, or by a signal (its name)."""

    code: int | None
    signal: str | None

    def __str__(self) -> str:
        return f"was ended by {self.signal}" if self.signal else f"exited with code {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What bubblewrap reads as ``ARGUMENTS_FD`` and, if not None, ``FILTER_FD``."""

    arguments_fd: int
    filter_fd: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawn:
    """What to start. Descriptors are ours; the child gets copies."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    listener_fd: int
    output_fd: int
    #: ``argv`` starts bubblewrap with ``--json-status-fd STATUS_FD``; None: no sandbox.
    confinement: Confinement | None = None


class Child:
    """A running process. Make it in the main thread, inside a running event loop."""

    def __init__(self, spawn: Spawn) -> None:
        self._sandboxed = spawn.confinement is not None
        self._status_pipe, status_end = os.pipe()
        os.set_blocking(self._status_pipe, False)
        self._status = b""
        self._app: psutil.Process | None = None
        try:
            self.pid = _spawn(spawn, status_end)
        except OSError:
            os.close(self._status_pipe)
            raise
        finally:
            os.close(status_end)
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        threading.Thread(
            target=self._reap,
            args=(asyncio.get_running_loop(),),
            name=f"reap-{self.pid}",
            daemon=True,
        ).start()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    @property
    def app_pid(self) -> int | None:
        """The app's own process id on the host; None while bubblewrap still prepares."""
        app = self._find_app()
        return None if app is None else app.pid

    def terminate(self) -> None:
        """Send SIGTERM to the app itself.

        bubblewrap forwards no signals, so the app is looked up below it. Before there is one,
        there is nothing to finish: the whole sandbox is killed.
        """
        app = self._find_app()
        if app is None:
            self.kill()
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            app.terminate()

    def kill(self) -> None:
        """End the process and all below it at once (bubblewrap's child dies with bubblewrap)."""
        if not self._exit.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _find_app(self) -> psutil.Process | None:
        if self._exit.done():
            return None
        if self._app is None:
            with contextlib.suppress(psutil.Error):
                self._app = self._sandboxed_app() if self._sandboxed else psutil.Process(self.pid)
        return self._app

    def _sandboxed_app(self) -> psutil.Process | None:
        """Return the first child of the sandbox's init process, which is the command."""
        with contextlib.suppress(BlockingIOError):
            self._status += os.read(self._status_pipe, 4096)
        line, complete, _ = self._status.partition(b"\n")
        if not complete:
            return None
        children = psutil.Process(json.loads(line)["child-pid"]).children()
        return min(children, key=lambda child: child.create_time(), default=None)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(self._ended, os.waitstatus_to_exitcode(status))

    def _ended(self, code: int) -> None:
        os.close(self._status_pipe)
        self._exit.set_result(exit_of(code, sandboxed=self._sandboxed))


def exit_of(code: int, *, sandboxed: bool) -> Exit:
    """Translate an exit code: negative is a signal, as is 128 + n from within bubblewrap."""
    number = -code if code < 0 else code - _SIGNALLED if sandboxed else 0
    try:
        return Exit(code=None, signal=signal.Signals(number).name)
    except ValueError:
        return Exit(code=code, signal=None)


def _spawn(spawn: Spawn, status_end: int) -> int:
    wanted = {1: spawn.output_fd, STANDARD_ERROR: spawn.output_fd, LISTEN_FD: spawn.listener_fd}
    if spawn.confinement is not None:
        wanted |= {STATUS_FD: status_end, ARGUMENTS_FD: spawn.confinement.arguments_fd}
        if spawn.confinement.filter_fd is not None:
            wanted[FILTER_FD] = spawn.confinement.filter_fd
    _inherit_nothing()
    copies = {target: _lift(source) for target, source in wanted.items()}
    try:
        return os.posix_spawnp(
            spawn.argv[0],
            list(spawn.argv),
            dict(spawn.environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                *((os.POSIX_SPAWN_DUP2, copy, target) for target, copy in copies.items()),
            ],
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    finally:
        for copy in copies.values():
            os.close(copy)


def _lift(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _CLEAR_OF_TARGETS)


def _inherit_nothing() -> None:
    """Close-on-exec for everything, also for what our own parent leaked to us."""
    for descriptor in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 - names, not paths
        if descriptor > STANDARD_ERROR:
            with contextlib.suppress(OSError):
                os.set_inheritable(descriptor, False)  # noqa: FBT003 - the standard library's
