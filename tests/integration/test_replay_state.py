"""A replay's stack really starts in the recorded state, or refuses to. No load is applied."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from campaign.model import Calibration, Origin, Plan
from campaign.orders import Order, specify
from campaign.ports import PortError, Ready
from campaign.rig import Rig, RigOptions
from campaign.runs import RunFolder
from campaign.stack import discard_data
from tests.acceptance_kit import reachable_folder

CALIBRATION = Calibration(healthy_p95_s=0.004, throughput_ratio=1.0, commit_s=0.001, rate_scale=1.0)
SNAPSHOT = "t1-snapshot"
FIX = "CREATE INDEX later ON messages (conversation_id)"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@dataclass(frozen=True, kw_only=True)
class Up:
    rig: Rig
    ready: Ready

    async def execute(self, *statements: str) -> None:
        """As the app's role."""
        assert self.rig.stack is not None
        connection = await asyncpg.connect(self.rig.stack.addresses.database.app_dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def fetchval(self, query: str) -> object:
        connection = await asyncpg.connect(self.rig.superuser_dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()


@asynccontextmanager
async def up(run: RunFolder, plan: Plan) -> AsyncIterator[Up]:
    """A rig whose stack is ready for the first trial; everything is gone at the end."""
    catalogue = specify(Order(profiles=("missing_index",))).catalogue
    options = RigOptions(sandbox=False)
    rig = Rig(run=run, catalogue=catalogue, options=options, registry=CollectorRegistry())
    calibration = None if plan.origin is not None else CALIBRATION
    try:
        ready = await rig.prepare(plan, trial=0, fresh=True, revision=None, calibration=calibration)
        yield Up(rig=rig, ready=ready)
    finally:
        await rig.stop()
        discard_data(run.path)


def plan_of(name: str) -> Plan:
    return specify(Order(profiles=("missing_index",), operator="none")).plan(name)


@pytest.fixture(scope="module")
def origin(root: Path) -> Origin:
    """A campaign whose second trial began with an edited app and a changed database."""
    return asyncio.run(_past(root))


async def _past(root: Path) -> Origin:
    run = RunFolder(path=root / "past")
    async with up(run, plan_of("past")) as past:
        (past.rig.workspace.path / "notes.txt").write_text("edited\n")
        commit = await past.rig.workspace.commit_object("an edit", at=1_700_000_000)
        await past.rig.workspace.adopt(commit.sha)
        await past.execute(FIX, "UPDATE users SET token_usage = 1 WHERE id = 7")
        began_s = time.monotonic()
        taken = await past.rig.take_snapshot(SNAPSHOT)
        # It is told in hundredths.
        assert 0 < taken.duration_s < time.monotonic() - began_s + 0.01
        again = await past.rig.take_snapshot(SNAPSHOT)
        assert again == replace(taken, duration_s=again.duration_s)
        await past.execute("DELETE FROM notifications")
        return Origin(
            campaign="past",
            revision=commit.sha,
            first_revision=past.ready.revision,
            calibration=CALIBRATION,
            trial=1,
            snapshot=SNAPSHOT,
        )


def replay_of(origin: Origin, name: str) -> Plan:
    return replace(plan_of(name), mode="replay", snapshots=False, origin=origin)


async def test_a_replay_starts_with_the_recorded_code_and_rows(root: Path, origin: Origin) -> None:
    run = RunFolder(path=root / "again")
    async with up(run, replay_of(origin, "again")) as again:
        assert again.ready.revision == origin.revision
        assert again.ready.calibration == CALIBRATION
        assert (again.rig.workspace.path / "notes.txt").read_text() == "edited\n"
        assert await again.rig.workspace.first() == origin.first_revision
        assert await again.fetchval("SELECT token_usage FROM users WHERE id = 7") == 1
        assert await again.fetchval("SELECT count(*) FROM notifications") == 10_000
        assert run.ledger.exists()


async def test_a_state_that_differs_is_refused_by_name(root: Path, origin: Origin) -> None:
    store = RunFolder(path=root / "past").snapshots
    with sqlite3.connect(store) as forged:
        forged.execute("UPDATE snapshot SET facts = replace(facts, '2000 rows', '1999 rows')")
    try:
        with pytest.raises(PortError, match=r"table public\.users: 2000 rows .* was 1999 rows"):
            async with up(RunFolder(path=root / "forged"), replay_of(origin, "forged")):
                pass
    finally:
        with sqlite3.connect(store) as forged:
            forged.execute("UPDATE snapshot SET facts = replace(facts, '1999 rows', '2000 rows')")


async def test_a_snapshot_that_is_gone_is_refused(root: Path, origin: Origin) -> None:
    plan = replay_of(replace(origin, snapshot="t9-snapshot"), "gone")
    with pytest.raises(PortError, match="no snapshot t9-snapshot"):
        async with up(RunFolder(path=root / "gone"), plan):
            pass


async def test_an_isolated_trial_takes_the_code_and_a_fresh_database(
    root: Path, origin: Origin
) -> None:
    isolated = replace(
        plan_of("alone"), mode="isolated", origin=replace(origin, snapshot=None, trial=None)
    )
    async with up(RunFolder(path=root / "alone"), isolated) as alone:
        assert alone.ready.revision == origin.revision
        assert await alone.fetchval("SELECT to_regclass('public.later')") is None
        assert await alone.fetchval("SELECT count(*) FROM users") == 2000
