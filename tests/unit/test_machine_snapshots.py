"""The state that a trial starts in is kept, when the plan says so and the world lets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.machine import fold
from campaign.model import (
    ApplyLoad,
    Command,
    CommandFailed,
    ComponentUp,
    Event,
    LoadApplied,
    Plan,
    PrepareStack,
    Resolved,
    Resumed,
    Snapshot,
    SnapshotTaken,
    StopRequested,
    TakeSnapshot,
)
from campaign.testing import Crashed, Simulation, World, make_plan, simulate
from tests.machine_kit import Drive

SNAPSHOT = Snapshot(
    id="t0-snapshot", size_bytes=1000, added_bytes=100, contents="abc", duration_s=1.0
)


def plan(*, mode: str = "continuous") -> Plan:
    return replace(make_plan(2, mode=mode), snapshots=True)


def taken(drive: Drive) -> Drive:
    return drive.send(SnapshotTaken(at=drive.at, trial=drive.index, snapshot=SNAPSHOT))


def asked(drive: Drive) -> list[Command]:
    """What the last step asks of the world."""
    return list(drive.commands)


def failed(drive: Drive, command: str = "take_snapshot") -> Drive:
    return drive.send(
        CommandFailed(
            at=drive.at,
            trial=drive.index,
            command=command,
            component="snapshot",
            reason="no room on the disk",
        )
    )


@pytest.fixture
def ready() -> Drive:
    return Drive(plan()).stack_ready()


def test_the_load_is_off_before_the_state_is_copied(ready: Drive) -> None:
    assert ready.phase == "snapshotting"
    assert asked(ready) == [ApplyLoad(id="t0-quiet", trial=0, load=())]
    ready.load_applied()
    assert asked(ready) == [TakeSnapshot(id="t0-snapshot", trial=0)]


def test_the_baseline_begins_when_the_state_is_kept(ready: Drive) -> None:
    taken(ready.load_applied())
    assert ready.phase == "baseline"
    assert ready.trial.snapshot == SNAPSHOT
    assert asked(ready) == [ApplyLoad(id="t0-baseline", trial=0, load=ready.campaign.base_load)]


def test_a_state_that_cannot_be_kept_is_on_record_and_ends_nothing(ready: Drive) -> None:
    failed(ready.load_applied())
    assert ready.phase == "baseline"
    assert ready.trial.snapshot is None
    assert ready.trial.snapshot_failure == "snapshot: no room on the disk"
    assert ready.trial.faults == ()


def test_a_load_that_cannot_be_taken_off_ends_nothing_either(ready: Drive) -> None:
    failed(ready, "apply_load")
    assert (ready.phase, ready.trial.snapshot) == ("baseline", None)


def test_a_copy_that_nobody_hears_of_is_not_waited_for(ready: Drive) -> None:
    ready.load_applied().tick(89)
    assert ready.phase == "snapshotting"
    ready.tick(1)
    assert ready.phase == "baseline"
    assert "90 s" in ready.trial.snapshot_failure


def test_what_comes_after_the_patience_is_over_is_not_the_start_of_the_trial(ready: Drive) -> None:
    taken(ready.load_applied().tick(90))
    assert ready.trial.snapshot is None
    failed(ready.load_applied().tick(10))
    assert ready.phase == "growing"
    assert ready.trial.verdict is None


def test_a_load_that_is_taken_off_twice_starts_one_copy(ready: Drive) -> None:
    ready.load_applied()
    ready.send(LoadApplied(at=ready.at, trial=0, load_id="t0-quiet"))
    assert asked(ready) == []


def test_a_restarted_generator_offers_nothing_while_the_state_is_copied(ready: Drive) -> None:
    ready.load_applied()
    ready.send(ComponentUp(at=ready.at, trial=0, component="loadgen"))
    assert asked(ready) == []


def test_a_generator_that_was_restarted_before_is_told_once_more(ready: Drive) -> None:
    ready.send(ComponentUp(at=ready.at, trial=0, component="loadgen"))
    assert asked(ready) == [ApplyLoad(id="t0-quiet", trial=0, load=())]


def test_a_trial_that_starts_afresh_keeps_nothing() -> None:
    assert Drive(plan(mode="isolated")).stack_ready().phase == "baseline"


def test_a_plan_without_snapshots_keeps_nothing() -> None:
    assert Drive(make_plan(2)).stack_ready().phase == "baseline"


def test_a_resumed_campaign_takes_the_copy_up_under_the_same_id(ready: Drive) -> None:
    ready.load_applied().send(StopRequested(at=ready.at))
    ready.send(Resumed(at=ready.at))
    assert asked(ready) == [PrepareStack(trial=0, fresh=False, revision="r0")]
    ready.stack_ready().load_applied()
    assert asked(ready) == [TakeSnapshot(id="t0-snapshot", trial=0)]


def test_every_trial_of_a_campaign_has_a_state_of_its_own() -> None:
    campaign = simulate(plan())
    ids = [trial.snapshot.id for trial in campaign.done if trial.snapshot is not None]
    assert ids == ["t0-snapshot", "t1-snapshot"]
    assert all(isinstance(trial.verdict, Resolved) for trial in campaign.done)


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_at_any_moment_keeps_one_state_a_trial(*, torn: bool) -> None:
    whole: list[Event] = []
    Simulation(World(plan=plan()), whole).run()
    for lose_after in range(1, len(whole), 3):
        world, journal = World(plan=plan()), list[Event]()
        with pytest.raises(Crashed):
            Simulation(world, journal, seed=lose_after).run(lose_after=lose_after, torn=torn)
        campaign = Simulation(world, journal, seed=lose_after).run()
        assert sorted(world.snapshots) == ["t0-snapshot", "t1-snapshot"]
        assert [trial.snapshot for trial in campaign.done] == list(world.snapshots.values())
        assert fold(journal) == campaign
