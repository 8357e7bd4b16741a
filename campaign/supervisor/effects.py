"""Carries out the machine's commands on real sockets and processes, and reports what happens."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from campaign.identity import Identity
from campaign.supervisor import listeners
from campaign.supervisor.app import SOURCE, AppRecipe
from campaign.supervisor.health import probe
from campaign.supervisor.listeners import Listener
from campaign.supervisor.logs import AppLog, ProcessLog
from campaign.supervisor.model import Event, Exited, GivenUp, Launch, Probed, Release
from campaign.supervisor.process import Child, Exit
from campaign.supervisor.reasons import starved_of_connections, why
from campaign.supervisor.relay import Relay, accept_into
from campaign.supervisor.tree import UnhashableTreeError, tree_hash
from campaign.supervisor.users import Users
from campaign.supervisor.wire import ExitRecord

#: Pause between probes of a process that did not answer yet.
_IMPATIENCE_S = 0.1

#: How long a superseded listener is still served once its process is gone.
_LINGER_S = 1.0

#: How long the output of an ended process is waited for.
_LAST_OUTPUT_S = 1.0

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Running:
    """A live process and what belongs to it."""

    release: Release
    listener: Listener
    identity: Identity
    child: Child
    output: ProcessLog
    watch: asyncio.Task[None] | None = None
    #: We asked it to end.
    leaving: bool = False
    #: Hash of the source that the process sees, known once it has answered.
    source_hash: str | None = None


class Effects:
    """Owns the app's processes and listeners. ``report`` takes each event as it happens."""

    def __init__(
        self, recipe: AppRecipe, *, app_log: AppLog, report: Callable[[Event], None]
    ) -> None:
        self._recipe = recipe
        self._users = Users(recipe.identities)
        self._config = recipe.config
        self._app_log = app_log
        self._report = report
        self._listeners: dict[int, Listener] = {}
        self._running: dict[int, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._relay = Relay(self._config.app_dir / listeners.PUBLIC_NAME, limit=listeners.BACKLOG)

    def running(self, process: int) -> Running | None:
        return self._running.get(process)

    def listen(self, listener: int) -> None:
        """Make the socket; when that fails, the launch that follows says so."""
        try:
            self._listeners[listener] = Listener(self._config.app_dir, listener)
        except OSError as error:
            log.exception("no listening socket", action="listen_failed", error=str(error))

    def unlisten(self, listener: int) -> None:
        if listener in self._listeners:
            self._listeners.pop(listener).close()

    def publish(self, listener: int) -> None:
        self._listeners[listener].publish()

    def launch(self, command: Launch) -> None:
        note = f"[supervisor] starting revision {command.release.revision}"
        self._app_log.write([note.encode()])
        try:
            running = self._start(command)
        except OSError as error:
            self._could_not_start(command, error)
            return
        self._running[command.process] = running
        running.watch = self._spawn(self._watch(command, running), "watch")
        self._spawn(self._see_off(command.process, running), "see-off")

    def forward(self, listener: int, process: int | None) -> None:
        self._spawn(self._forward(self._listeners.pop(listener), process), "forward")

    def drain(self, process: int) -> None:
        running = self._running.get(process)
        if running is not None:
            self._leave(running)
            self._spawn(self._drain(running), "drain")

    def kill(self, process: int) -> None:
        running = self._running.get(process)
        if running is not None:
            self._leave(running)
            running.child.kill()

    async def wait_until_all_ended(self) -> None:
        for running in tuple(self._running.values()):
            await running.child.wait()

    async def close(self) -> None:
        """End what is left, at once."""
        for running in self._running.values():
            running.child.kill()
        await self.wait_until_all_ended()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._relay.close()
        for listener in self._listeners.values():
            listener.close()
        listeners.remove_stale(self._config.app_dir)

    def _start(self, command: Launch) -> Running:
        listener = self._listeners.get(command.listener)
        if listener is None:
            raise OSError("there is no listening socket for it")
        identity = self._users.take()
        reading, writing = os.pipe()
        output = ProcessLog(reading, self._app_log)
        try:
            with self._recipe.spawn(
                command.release,
                identity=identity,
                listener_fd=listener.socket.fileno(),
                output_fd=writing,
            ) as spawn:
                child = Child(spawn)
        except BaseException:
            self._users.give_back(identity)
            raise
        finally:
            os.close(writing)
        return Running(
            release=command.release,
            listener=listener,
            identity=identity,
            child=child,
            output=output,
        )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", action="task_failed", task=task.get_name(), exc_info=error)

    def _could_not_start(self, command: Launch, error: OSError) -> None:
        """Report it as an exit, after the step that launched it is over."""
        event = Exited(
            at=time.time(),
            process=command.process,
            exit=_exit_record(command.release, Exit(code=None, signal=None), expected=False),
            reason=f"could not be started: {error}",
            starved=False,
        )
        asyncio.get_running_loop().call_soon(self._report, event)

    async def _watch(self, command: Launch, running: Running) -> None:
        """Report health probes; before the first answer, only that it takes too long."""
        started, answered = time.monotonic(), False
        while True:
            problem = await probe(running.listener.path, timeout_s=self._config.probe_timeout_s)
            if problem is None and not answered:
                running.source_hash = await self._measure(running)
                answered = True
            if answered:
                self._report(Probed(at=time.time(), process=command.process, ok=problem is None))
            elif command.patient and self._too_long(running, time.monotonic() - started):
                self._give_up(command.process, running, problem)
                return
            await asyncio.sleep(self._config.probe_interval_s if answered else _IMPATIENCE_S)

    def _too_long(self, running: Running, waited_s: float) -> bool:
        if waited_s >= self._config.health_timeout_s:
            return True
        patience_s = self._config.starved_patience_s
        return waited_s >= patience_s and starved_of_connections(running.output.tail())

    def _give_up(self, process: int, running: Running, problem: str | None) -> None:
        lines = running.output.tail()
        starved = starved_of_connections(lines)
        waited_s = self._config.starved_patience_s if starved else self._config.health_timeout_s
        ending = f"was not healthy within {waited_s:g} s (last health probe: {problem})"
        self._report(
            GivenUp(at=time.time(), process=process, reason=why(ending, lines), starved=starved)
        )

    async def _measure(self, running: Running) -> str | None:
        """Hash the source as the process itself sees it."""
        try:
            if self._config.sandbox != "bubblewrap":
                return await asyncio.to_thread(tree_hash, Path(running.release.source))
            seen = Path(f"/proc/{running.child.app_pid}/root{SOURCE}")
            return await asyncio.to_thread(tree_hash, seen)
        except (OSError, UnhashableTreeError) as error:
            log.warning("source cannot be hashed", action="hash_failed", error=str(error))
            return None

    async def _see_off(self, process: int, running: Running) -> None:
        """Report the end of a process once its last output was read."""
        ended = await running.child.wait()
        if running.watch is not None:
            running.watch.cancel()
        await self._clear_up(running)
        await running.output.drain(timeout_s=_LAST_OUTPUT_S)
        lines = running.output.tail()
        event = Exited(
            at=time.time(),
            process=process,
            exit=_exit_record(running.release, ended, expected=running.leaving),
            reason=why(str(ended), lines),
            starved=starved_of_connections(lines),
        )
        log.info("process ended", action="process_ended", **event.exit.model_dump())
        self._report(event)
        del self._running[process]

    async def _clear_up(self, running: Running) -> None:
        """Of what it left behind nothing may go on. A user that cannot be cleared is not reused."""
        try:
            await asyncio.to_thread(self._users.give_back, running.identity)
        except (OSError, subprocess.SubprocessError) as error:
            log.exception("processes are left", action="not_cleared", error=str(error))

    def _leave(self, running: Running) -> None:
        running.leaving = True
        if running.watch is not None:
            running.watch.cancel()

    async def _drain(self, running: Running) -> None:
        await asyncio.sleep(self._config.handover_pause_s)
        running.child.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.drain_timeout_s):
                await running.child.wait()
        running.child.kill()

    async def _forward(self, listener: Listener, process: int | None) -> None:
        accepting = asyncio.create_task(accept_into(self._relay, listener.socket))
        try:
            running = None if process is None else self._running.get(process)
            if running is not None:
                await running.child.wait()
            await asyncio.sleep(_LINGER_S)
        finally:
            accepting.cancel()
            listener.close()


def _exit_record(release: Release, ended: Exit, *, expected: bool) -> ExitRecord:
    return ExitRecord(
        at=time.time(),
        deployment=release.deployment,
        code=ended.code,
        signal=ended.signal,
        expected=expected,
    )
