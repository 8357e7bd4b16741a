"""The folder with the files that the operator edits: ours, or another container's."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from campaign.adapters.workspace.files import give_away, swap_contents
from campaign.identity import Identity


class WorkTree(Protocol):
    """A folder that we may read, and whose files are the operator's."""

    @property
    def path(self) -> Path:
        """As this process sees it."""

    async def fill(self, new: Path, *, trash: Path) -> None:
        """Put what is in `new`, which is ours, in place of all that is there; may be repeated.

        Neither `new` nor `trash` need be what they were: both are thrown away afterwards.

        Raises:
            OSError, PortError: it cannot be done.
        """

    async def open_up(self) -> bool:
        """Have files made readable that their owner has closed; False: that changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTree:
    """Beside the history, on the same disk."""

    path: Path
    owner: Identity

    async def fill(self, new: Path, *, trash: Path) -> None:
        """See `WorkTree`: entries are only moved."""
        await asyncio.to_thread(self._own, new)
        await asyncio.to_thread(swap_contents, self.path, new, trash=trash)

    async def open_up(self) -> bool:
        """We may read whatever its owner may."""
        return False

    def _own(self, new: Path) -> None:
        self.path.mkdir(exist_ok=True)
        if not self.owner.is_ours:
            give_away(new, uid=self.owner.uid, gid=self.owner.gid)
            os.chown(self.path, self.owner.uid, self.owner.gid)
