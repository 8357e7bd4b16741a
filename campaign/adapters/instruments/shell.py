"""The operator's shells: one a session, bounded in time, output, memory, disk and processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import replace

from operators import ToolError

from campaign.adapters.instruments.bash import LONGEST_COMMAND_BYTES, Bash, ShellEndedError
from campaign.adapters.instruments.cgroup import Group, GroupLimits, make_group
from campaign.adapters.instruments.lodger import Lodger
from campaign.adapters.instruments.surroundings import Surroundings
from campaign.adapters.instruments.watch import Allowance, Watch
from campaign.model import CommandResult

_NEXT = "The next command begins in a new shell, without its variables and jobs; files stay."


class WorkspaceShells:
    """Implements `operators.toolbox.instruments.Shells`."""

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        allowance: Allowance | None = None,
        lodger: Lodger | None = None,
    ) -> None:
        """`lodger`: whom `surroundings` names as such, with what is left of him."""
        self._surroundings = surroundings
        self._allowance = allowance or Allowance()
        self._lodger = lodger

    def open(self) -> AbstractAsyncContextManager[WorkspaceShell]:
        return self._open(self._surroundings)

    def open_to_look(self) -> AbstractAsyncContextManager[WorkspaceShell | None]:
        """The workspace is read-only, and the database out of reach; None: unconfined."""
        if not self._surroundings.confined:
            return nullcontext()
        return self._open(
            replace(self._surroundings, read_only=True, database_dir=None, environment={})
        )

    @asynccontextmanager
    async def _open(self, surroundings: Surroundings) -> AsyncIterator[WorkspaceShell]:
        shell = WorkspaceShell(surroundings, self._allowance, lodger=self._lodger)
        try:
            yield shell
        finally:
            await asyncio.shield(shell.close())


class WorkspaceShell:
    """Implements `operators.toolbox.instruments.Shell`; its bash is started when it is needed."""

    def __init__(
        self, surroundings: Surroundings, allowance: Allowance, *, lodger: Lodger | None = None
    ) -> None:
        self._surroundings = surroundings
        self._allowance = allowance
        self._lodger = lodger
        self._one_at_a_time = asyncio.Lock()
        self._bash: Bash | None = None
        self._watching: asyncio.Task[None] | None = None
        #: why the watch ended it
        self._too_much = ""
        self._closed = False

    async def run(self, command: str, *, timeout_s: float) -> CommandResult:
        """See the protocol. A caller that is cancelled ends the shell with the command.

        Raises:
            ToolError: too long, ended, or used too much; with what it printed.
            PortError: there is no shell to be had.
        """
        _require_plain(command)
        async with self._one_at_a_time:
            if self._too_much:
                await self._end()
                reason, self._too_much = self._too_much, ""
                raise ToolError(f"the shell was ended between commands: {reason}. {_NEXT}")
            bash = await self._running()
            try:
                async with asyncio.timeout(timeout_s):
                    return await bash.run(command)
            except TimeoutError as error:
                await self._end()
                raise ToolError(
                    f"{bash.printed}\n[took longer than {timeout_s:g} s: ended, with all that "
                    "the shell had started. Give it more time (timeout_s), or run it in the "
                    f"background with its output in a file. {_NEXT}]"
                ) from error
            except ShellEndedError as ended:
                await self._end()
                if self._too_much:
                    reason, self._too_much = self._too_much, ""
                    raise ToolError(
                        f"{ended.result.output}\n[the shell was ended: {reason}. {_NEXT}]"
                    ) from ended
                output = f"{ended.result.output}\n[the shell has ended. {_NEXT}]"
                return CommandResult(exit_code=ended.result.exit_code, output=output)
            except asyncio.CancelledError:
                await asyncio.shield(self._end())
                raise

    async def restart(self) -> None:
        """See the protocol; ends a command that is under way."""
        bash = self._bash
        if bash is not None:
            await bash.end()
        async with self._one_at_a_time:
            self._too_much = ""
            await self._end()

    async def close(self) -> None:
        self._closed = True
        await self._end()

    # -- how ------------------------------------------------------------------------------------

    async def _running(self) -> Bash:
        self._require_open()
        if self._bash is None:
            self._bash = await self._watched(
                await Bash.start(self._surroundings, group=self._group())
            )
        return self._bash

    def _require_open(self) -> None:
        if self._closed:
            raise ToolError("the session is over")

    async def _watched(self, bash: Bash) -> Bash:
        """No command is run that is not watched; what cannot be is ended."""
        watch = Watch(
            bash.top,
            workspace=self._surroundings.workspace,
            allowance=self._allowance,
            lodger=self._lodger,
        )
        try:
            await watch.begin()
            self._require_open()
        except BaseException:
            watch.close()
            await asyncio.shield(bash.end())
            raise
        self._watching = asyncio.create_task(self._watch(bash, watch), name="shell-watch")
        return bash

    def _group(self) -> Group | None:
        if not self._surroundings.confined or self._lodger is not None:
            return None
        limits = GroupLimits(
            memory_bytes=self._allowance.memory_bytes,
            # with bwrap's own
            processes=(self._surroundings.limits.processes or 256) + 8,
        )
        return make_group(limits)

    async def _watch(self, bash: Bash, watch: Watch) -> None:
        try:
            self._too_much = await watch.until_too_much()
        except OSError as error:
            self._too_much = f"what it uses could not be read: {error.strerror}"
        finally:
            watch.close()
        await bash.end()

    async def _end(self) -> None:
        bash, self._bash = self._bash, None
        watching, self._watching = self._watching, None
        if watching is not None and not self._too_much:
            watching.cancel()
        if watching is not None:
            with suppress(asyncio.CancelledError):
                await watching
        if bash is not None:
            await bash.end()
        if self._lodger is not None:
            await self._lodger.clear()


def _require_plain(command: str) -> None:
    if "\0" in command:
        raise ToolError("a command cannot have a NUL character in it")
    if len(command.encode(errors="surrogateescape")) > LONGEST_COMMAND_BYTES:
        raise ToolError(
            f"a command of more than {LONGEST_COMMAND_BYTES} bytes: write it into a file, "
            "then run that"
        )
