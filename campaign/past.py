"""What a run takes over from an earlier campaign: its code, and for a replay all of its state."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from campaign.adapters.workspace import Workspace
from campaign.model import Origin
from campaign.runs import RunFolder
from campaign.snapshots import require_same, restore_ledger
from campaign.stack import SnapshotStore, StoredSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An origin, with the folders it leads from and to."""

    origin: Origin
    #: the earlier campaign's, and the one that takes over
    source: RunFolder
    run: RunFolder

    @classmethod
    def of(cls, origin: Origin | None, *, run: RunFolder, root: Path | None) -> Self | None:
        """`root`: the folder of campaigns that the earlier one is in; else it is beside `run`."""
        if origin is None:
            return None
        folder = (root or run.path.parent) / origin.campaign
        return cls(origin=origin, source=RunFolder(path=folder), run=run)

    @property
    def snapshot(self) -> StoredSnapshot | None:
        """What a replay's database is restored from."""
        if self.origin.snapshot is None:
            return None
        return StoredSnapshot(store=SnapshotStore(self.source.snapshots), name=self.origin.snapshot)

    async def take_over(self, workspace: Workspace, *, fresh: bool) -> None:
        """Before the stack starts: the history of the code, and on a fresh start the ledger.

        Raises:
            PortError: the revision is not there any more.
            StackError: the snapshot is not there any more.
        """
        await workspace.take_over(self.source.history, self.origin.revision)
        if self.source.app_document.exists() and not self.run.app_document.exists():
            shutil.copyfile(self.source.app_document, self.run.app_document)
        if fresh and self.snapshot is not None:
            await restore_ledger(self.snapshot, self.run)

    async def require_same(self, superuser_dsn: str) -> None:
        """A replay starts in the very state that was recorded; see `snapshots.require_same`."""
        if self.snapshot is not None:
            await require_same(self.snapshot, superuser_dsn)
