"""Keeps the state that a trial starts in, and goes back to it.

Taken while the load is off and the app's tables stand still: a digest of what they hold, a
physical copy of the database, the ledger of acknowledged writes. A replay begins with the copy,
and digests what it holds before anything else may touch it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from campaign.adapters.database import Contents, differences, standstill
from campaign.model import Snapshot
from campaign.ports import PortError
from campaign.runs import RunFolder
from campaign.stack import (
    PGDATA,
    Kept,
    NoSnapshotError,
    ProcessStack,
    SnapshotStore,
    StackError,
    StoredSnapshot,
)

_COMPONENT = "snapshot"
_LEDGER = "ledger"
#: of what differs, so much is named
_NAMED = 5


class Ledger(Protocol):
    """Who writes the ledger's file (`Probes`)."""

    async def catch_up(self) -> None: ...


async def take(snapshot: str, *, run: RunFolder, stack: ProcessStack, ledger: Ledger) -> Snapshot:
    """Keep what there is now; a second time under the same id gives the first one.

    Raises:
        PortError: it could not be kept.
    """
    began = time.monotonic()
    store = SnapshotStore(run.snapshots)
    try:
        kept = await asyncio.to_thread(store.find, snapshot)
        if kept is None:
            kept = await _keep(snapshot, store, run=run, stack=stack, ledger=ledger)
    except StackError as error:
        raise PortError(_COMPONENT, str(error)) from error
    return Snapshot(
        id=snapshot,
        size_bytes=kept.size_bytes,
        added_bytes=kept.added_bytes,
        contents=Contents.from_json(kept.facts).digest,
        duration_s=round(time.monotonic() - began, 2),
    )


async def _keep(
    snapshot: str, store: SnapshotStore, *, run: RunFolder, stack: ProcessStack, ledger: Ledger
) -> Kept:
    await ledger.catch_up()
    async with (
        standstill(stack.addresses.database.superuser_dsn) as contents,
        stack.copy_of_database() as copy,
    ):
        parts = {PGDATA: copy, _LEDGER: run.ledger}
        return await asyncio.to_thread(store.add, snapshot, parts, facts=contents.as_json())


async def restore_ledger(source: StoredSnapshot, run: RunFolder) -> None:
    """Make the ledger that was kept the one of `run`, whose stack does not run yet.

    Raises:
        StackError: there is no such snapshot.
    """
    run.ledger.unlink(missing_ok=True)
    await asyncio.to_thread(source.store.restore, source.name, _LEDGER, run.ledger)


async def require_same(source: StoredSnapshot, superuser_dsn: str) -> None:
    """The database that was just restored, untouched by any app, holds what it held.

    Raises:
        PortError: it does not; the differences are named.
        NoSnapshotError: there is no such snapshot.
    """
    kept = await asyncio.to_thread(source.store.find, source.name)
    if kept is None:
        raise NoSnapshotError(f"there is no {source.name} in {source.store.path}")
    async with standstill(superuser_dsn) as found:
        different = differences(Contents.from_json(kept.facts), found)
    if different:
        more = len(different) - _NAMED
        named = (*different[:_NAMED], *([f"and {more} more"] if more > 0 else []))
        raise PortError(
            _COMPONENT, f"the restored state is not the recorded one: {'; '.join(named)}"
        )
