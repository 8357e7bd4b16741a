"""The work tree that a campaign shares with the container of its shells.

There is one, whoever plays; its files are the operator's, of a user that we cannot become. We read
it, and have it filled over there. What a campaign leaves is kept in that campaign's folder while
another one plays.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from campaign.adapters.workspace import UnfitTreeError
from campaign.adapters.workspace.files import Bounds, copy_out, remove
from campaign.ports import PortError
from campaign.shell_service.client import RemoteSandbox

log = structlog.get_logger(__name__)

#: the folder itself is ours, and stays as it is
_OPEN = "find . -mindepth 1 -maxdepth 1 ! -type l -exec chmod -R {} '{{}}' +"
#: a folder that its owner has closed is opened first
_EMPTY = f"{_OPEN.format('u+rwX')} && find . -mindepth 1 -delete"
_OPEN_UP = _OPEN.format("u+rwX,go+rX")
_FILL = ("tar", "--extract", "--file=-", "--no-same-owner", "--preserve-permissions")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTree:
    """Implements `campaign.adapters.workspace.work_tree.WorkTree`."""

    path: Path
    sandbox: RemoteSandbox

    async def fill(self, new: Path, *, trash: Path) -> None:
        """As the operator's user, to whom all of it belongs; nothing is moved.

        Raises:
            PortError: it cannot be done.
        """
        del trash
        packed = await asyncio.to_thread(_packed, new)
        await self._do(("/bin/sh", "-c", _EMPTY))
        await self._do(_FILL, stdin=packed)

    async def open_up(self) -> bool:
        """What its owner has closed to others."""
        done = await self.sandbox.run(("/bin/sh", "-c", _OPEN_UP))
        return done.exit_code == 0

    async def empty(self) -> None:
        """Raises PortError."""
        await self._do(("/bin/sh", "-c", _EMPTY))

    async def _do(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> None:
        done = await self.sandbox.run(argv, stdin=stdin)
        if done.exit_code != 0:
            raise PortError("workspace", f"{argv[0]} in it fails: {done.output.strip()[-500:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOfOne:
    """Whose the shared work tree is."""

    tree: SharedTree
    #: the folder that it is in, where only we may make something
    place: Path

    @property
    def _own(self) -> Path:
        """Not for the shells to see."""
        return self.place / "campaign"

    @asynccontextmanager
    async def held(self, run_dir: Path) -> AsyncIterator[bool]:
        """While it is this campaign's (an absolute path): whether its own files are in it.

        Raises:
            PortError: another process plays, or the files cannot be exchanged.
        """
        self._own.mkdir(mode=0o700, exist_ok=True)
        with (self._own / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PortError("workspace", "another campaign is being played on it") from error
            yield await self._exchange(run_dir)

    async def _exchange(self, run_dir: Path) -> bool:
        """A crash at any moment loses nothing: the mark says whose files are whole there."""
        mark, own = self._own / "owner", run_dir / "workspace"
        owner = mark.read_text().strip() if mark.exists() else ""
        if owner == str(run_dir):
            return True
        if former := _folder(owner):
            await self._put_aside(former / "workspace")
        mark.write_text("")
        await self.tree.empty()
        is_kept = own.is_dir()
        if is_kept:
            await self.tree.fill(own, trash=own)
        mark.write_text(f"{run_dir}\n")
        await asyncio.to_thread(remove, own)
        return is_kept

    async def _put_aside(self, kept: Path) -> None:
        partial = kept.with_name(".workspace.partial")
        await asyncio.to_thread(remove, partial, kept)
        try:
            await self.tree.open_up()
            await asyncio.to_thread(copy_out, self.tree.path, partial, Bounds())
        except UnfitTreeError as error:
            # Its campaign goes on with what it had deployed.
            log.warning("work_tree_lost", action="work_tree_lost", reason=error.reason)
            await asyncio.to_thread(remove, partial)
            return
        partial.rename(kept)


def _folder(name: str) -> Path | None:
    """A campaign that was removed meanwhile has left nothing."""
    return Path(name) if name and Path(name).is_dir() else None


def _packed(folder: Path) -> bytes:
    """As a tar archive, of its content alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=_bytes(packed), mode="w") as archive:
        for entry in sorted(folder.iterdir()):
            archive.add(entry, arcname=entry.name)
    return packed.getvalue()


def _bytes(file: io.BytesIO) -> IO[bytes]:
    return file
