"""Physical copies of database clusters: a template's, a snapshot's, a campaign's own."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import TYPE_CHECKING

from campaign.identity import own_identity
from campaign.stack.folders import private_folder
from campaign.stack.postgres import PORT, SUPERUSER
from campaign.stack.processes import run_as

if TYPE_CHECKING:
    from pathlib import Path

    from campaign.stack.postgres import Cluster

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


def _replace_folder(new: Path, target: Path) -> None:
    """Rename `new` to `target`; a crash in between leaves one of the two whole."""
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
