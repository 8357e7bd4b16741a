"""Looks at what a shell uses as long as it lives, and says when that is too much.

Resource limits are per process, so all processes together are watched from outside. Between two
looks some more can be used (a core writes about a gigabyte a second), hence the reserves: what the
machine itself must keep free, whoever took the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from campaign.adapters.instruments.lodger import Lodger
from campaign.adapters.instruments.one_thread import OneThread
from campaign.adapters.instruments.usage import (
    available_memory_bytes,
    descendants,
    exact_memory_bytes,
    free_disk_bytes,
    memory_bytes,
    open_files,
    stored,
)

_INTERVAL_S = 0.25
#: a look takes no more than this share of the time
_LARGEST_SHARE = 0.1
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What all processes of one shell may use together."""

    memory_bytes: int = 2 << 30
    #: of the workspace, with deleted files that are still open; ten times what can be deployed
    disk_bytes: int = 512 << 20
    files: int = 50_000
    #: what the machine must keep, at most half of what it had when the shell was opened
    memory_reserve_bytes: int = 512 << 20
    disk_reserve_bytes: int = 1 << 30


class Watch:
    """Of one shell: `pid` is the process above all others of it. `begin` it, `close` it."""

    def __init__(
        self,
        pid: int,
        *,
        workspace: Path,
        allowance: Allowance,
        lodger: Lodger | None = None,
    ) -> None:
        """With `lodger`, all that runs as that user is the shell's, whatever it is below."""
        self._processes: Callable[[], Iterable[int]] = (
            (lambda: descendants(pid)) if lodger is None else lodger.processes
        )
        self._workspace = workspace
        self._allowance = allowance
        #: looking through a large workspace takes seconds, in which others go on
        self._aside = (
            OneThread("shell-watch")
            if lodger is None
            else OneThread("shell-watch", begins=lodger.see_as)
        )
        self._device = 0
        self._disk_bytes, self._files = allowance.disk_bytes, allowance.files
        self._disk_reserve = allowance.disk_reserve_bytes
        self._memory_reserve = allowance.memory_reserve_bytes

    async def begin(self) -> None:
        """Before the first command: see how much there is already.

        Raises:
            OSError: that cannot be seen.
        """
        await self._aside.run(self._measure)

    async def until_too_much(self) -> str:
        """Wait until the shell has to be ended; why, for the operator."""
        while True:
            began = time.monotonic()
            reason = await self._aside.run(self.look)
            if reason is not None:
                return reason
            took = time.monotonic() - began
            await asyncio.sleep(max(_INTERVAL_S, took / _LARGEST_SHARE))

    def close(self) -> None:
        self._aside.close()

    def _measure(self) -> None:
        workspace, allowance = self._workspace, self._allowance
        self._device = workspace.stat().st_dev
        # A workspace that is too large already can still be made smaller.
        before = stored(workspace, max_files=10 * allowance.files)
        self._disk_bytes = max(allowance.disk_bytes, before.size_bytes + _MIB)
        self._files = max(allowance.files, before.files + 1)
        free, available = free_disk_bytes(workspace), available_memory_bytes()
        self._disk_reserve = min(allowance.disk_reserve_bytes, free // 2)
        self._memory_reserve = min(allowance.memory_reserve_bytes, (available or 0) // 2)

    def look(self) -> str | None:
        """Why it must end now, or None."""
        pids = list(self._processes())
        files = open_files(pids, disk=self._device)
        return self._too_much_memory(pids, files.in_memory_bytes) or self._too_much_disk(
            files.on_disk_bytes
        )

    def _too_much_memory(self, pids: list[int], in_files_bytes: int) -> str | None:
        limit = self._allowance.memory_bytes
        if memory_bytes(pids) + in_files_bytes > limit:
            used = exact_memory_bytes(pids) + in_files_bytes
            if used > limit:
                return f"its processes used {_mib(used)} of memory, and {_mib(limit)} are allowed"
        available = available_memory_bytes()
        if available is not None and available < self._memory_reserve:
            return "the machine was running out of memory"
        return None

    def _too_much_disk(self, deleted_bytes: int) -> str | None:
        found = stored(self._workspace, max_files=self._files)
        used = found.size_bytes + deleted_bytes
        if used > self._disk_bytes:
            return (
                f"the workspace took {_mib(used)} of disk, and {_mib(self._disk_bytes)} are "
                "allowed: remove what is not needed"
            )
        if found.unlisted:
            place = found.unlisted[:80]
            return f"the folder {place!r} of the workspace could not be listed: make it readable"
        if found.files > self._files:
            return f"the workspace held more than {self._files} files: remove what is not needed"
        if free_disk_bytes(self._workspace) < self._disk_reserve:
            return "the machine's disk was nearly full"
        return None


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:.0f} MiB"
