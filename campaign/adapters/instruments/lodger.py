"""Whom a shell runs as where its container is the sandbox: a user that runs nothing else.

Without a process namespace a process can outlive the shell that started it. So all that runs as
that user belongs to his shell: it is counted with it, and ended with it, and so are his files
outside of the workspace.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from campaign.identity import Identity
from campaign.supervisor.users import end_all, remove_files

_PROC = Path("/proc")


class Lodger:
    """One user of this container, whom we may become and whose processes we may end."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        #: what we run as him ourselves is not to be ended with his shell
        self._alone = asyncio.Lock()

    def processes(self) -> Iterator[int]:
        """All of his. A process can hide whose its folder is (it is root's then), not this."""
        for folder in _PROC.iterdir():
            if folder.name.isdecimal() and _user_of(folder) == self.identity.uid:
                yield int(folder.name)

    def see_as(self) -> None:
        """The calling thread sees files and processes with his rights from now on.

        We are root without the right to read what is not ours: he may read what is his.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        libc.setfsgid(self.identity.gid)
        libc.setfsuid(self.identity.uid)

    @asynccontextmanager
    async def errand(self) -> AsyncIterator[None]:
        """While we run something as him: his shell is not ended meanwhile."""
        async with self._alone:
            yield

    async def clear(self) -> None:
        """End all that runs as him, and remove what he left where everybody may write.

        Raises:
            OSError: some of it cannot be ended.
        """
        async with self._alone:
            await asyncio.to_thread(self._clear)

    def _clear(self) -> None:
        end_all(self.identity)
        remove_files(self.identity)


def _user_of(folder: Path) -> int | None:
    """The real user; None: it has ended."""
    with suppress(OSError):
        for line in (folder / "status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[1])
    return None
