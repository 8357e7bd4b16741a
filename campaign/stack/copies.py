"""Physical copies of database clusters: a template's, a snapshot's, a campaign's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign.identity import own_identity
from campaign.stack.folders import private_folder
from campaign.stack.postgres import PORT, SUPERUSER
from campaign.stack.processes import run_as

if TYPE_CHECKING:
    from pathlib import Path

    from campaign.identity import Identity
    from campaign.stack.postgres import Cluster
    from campaign.stack.snapshots import SnapshotStore

#: what the copied cluster is called in a store of snapshots
PGDATA = "pgdata"

#: shares the blocks until they are written where the file system can (btrfs, xfs, apfs)
_COPY = ("cp", "-cRp") if sys.platform == "darwin" else ("cp", "-a", "--reflink=auto")


async def clone(source: Cluster, pgdata: Path) -> Cluster:
    """Copy the *stopped* cluster `source` to `pgdata`, replacing what is there.

    The copy appears under its name only when it is whole.
    """
    scratch = pgdata.with_name(f"{pgdata.name}.copying")
    await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    await run_as(own_identity(), [*_COPY, str(source.pgdata), str(scratch)], cwd=pgdata.parent)
    await asyncio.to_thread(_replace_folder, scratch, pgdata)
    return source.at(pgdata)


async def snapshot(source: Cluster, *, socket_dir: Path, to: Path) -> Cluster:
    """Copy the *running* cluster `source` to the new folder `to`, as of about now.

    About half a second for 350 MB; writers go on meanwhile. `clone` of the result makes a cluster
    that recovers to the moment the copy ended.
    """
    private_folder(to, source.identity)
    options = [
        f"--pgdata={to}",
        f"--host={socket_dir}",
        f"--port={PORT}",
        f"--username={SUPERUSER}",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--no-sync",
        "--no-password",
    ]
    await run_as(
        source.identity,
        [source.programs.program("pg_basebackup"), *options],
        cwd=to,
        env={"PGPASSWORD": source.password},
    )
    return source.at(to)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    """A cluster in a store of snapshots."""

    store: SnapshotStore
    name: str


async def restore(source: StoredSnapshot, target: Cluster) -> None:
    """Put the snapshot's cluster where `target` is; it recovers when its server starts.

    Raises:
        StackError: there is no such snapshot, it is damaged, or the disk is full.
    """
    scratch = target.pgdata.with_name(f"{target.pgdata.name}.copying")
    await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    await asyncio.to_thread(source.store.restore, source.name, PGDATA, scratch)
    await asyncio.to_thread(_give_away, scratch, target.identity)
    await asyncio.to_thread(_replace_folder, scratch, target.pgdata)


def _give_away(folder: Path, identity: Identity) -> None:
    if identity.is_ours:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, identity.uid, identity.gid)


def _replace_folder(new: Path, target: Path) -> None:
    """Rename `new` to `target`; a crash in between leaves one of the two whole."""
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
