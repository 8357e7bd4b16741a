"""Pause, stop, resume: in every phase, and without losing or doubling anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from campaign.model import (
    ApplyLoad,
    Budget,
    CancelSession,
    CloseTrial,
    CommandFailed,
    ComponentDown,
    ContinueRequested,
    GrowData,
    Inconclusive,
    PauseRequested,
    PrepareStack,
    Resolved,
    Resumed,
    StackFailed,
    StartSession,
    StopRequested,
)
from campaign.testing import make_plan
from tests.machine_kit import Drive

Way = Callable[[Drive], Drive]


def paused(drive: Drive) -> Drive:
    drive.send(PauseRequested(at=drive.at))
    return drive.to_second_trial()


AFTER_PREPARING: dict[str, Way] = {
    "baseline": Drive.to_baseline,
    "growing": Drive.to_growing,
    "disturbed": Drive.to_disturbed,
    "repairing": Drive.to_repairing,
    "recovering": Drive.to_recovering,
    "confirming": Drive.to_full_load,
    "auditing": Drive.to_gates,
    "healing": Drive.to_healing,
    "paused": paused,
}


def stop(drive: Drive) -> Drive:
    return drive.send(StopRequested(at=drive.at, reason="ctrl-c"))


def resume(drive: Drive, after_s: float = 3600.0) -> Drive:
    drive.skip(after_s)
    return drive.send(Resumed(at=drive.at))


def test_a_pause_holds_before_the_next_trial_and_not_before() -> None:
    drive = paused(Drive())
    assert (drive.phase, drive.index) == ("paused", 0)
    assert drive.tick(600).phase == "paused"
    drive.send(ContinueRequested(at=drive.at))
    assert (drive.phase, drive.index) == ("baseline", 1)


def test_a_pause_can_be_taken_back() -> None:
    drive = Drive().to_baseline()
    drive.send(PauseRequested(at=drive.at)).send(ContinueRequested(at=drive.at))
    assert drive.to_second_trial().phase == "baseline"


def test_a_pause_asked_for_while_the_stack_comes_back_is_kept() -> None:
    drive = resume(stop(Drive().to_baseline()))
    drive.send(PauseRequested(at=drive.at)).stack_ready()
    assert drive.to_second_trial().phase == "paused"


def test_the_last_trial_ends_the_campaign_paused_or_not() -> None:
    drive = Drive().to_second_trial()
    drive.send(PauseRequested(at=drive.at))
    assert drive.to_healing().load_applied().phase == "finished"


@pytest.mark.parametrize("way", AFTER_PREPARING.values(), ids=AFTER_PREPARING.keys())
def test_a_stopped_campaign_ignores_the_world(way: Way) -> None:
    drive = stop(way(Drive()))
    before = drive.campaign
    drive.tick(3).load_applied().data_grown().stack_ready().resolve()
    assert drive.campaign.evolve(at=before.at) == before


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "crashed"])
@pytest.mark.parametrize("phase", AFTER_PREPARING)
def test_a_resumed_campaign_brings_the_stack_back_as_it_was(phase: str, *, stopped: bool) -> None:
    drive = AFTER_PREPARING[phase](Drive())
    revision = drive.campaign.revision
    resume(stop(drive) if stopped else drive)
    assert drive.commands == (PrepareStack(trial=0, fresh=False, revision=revision),)
    assert drive.tick(20).phase == phase
    assert drive.campaign.restoring


def test_a_campaign_that_was_only_preparing_starts_from_nothing() -> None:
    drive = resume(stop(Drive()))
    assert drive.commands == (PrepareStack(trial=0, fresh=True, revision=None),)
    assert drive.to_baseline().phase == "baseline"


@pytest.mark.parametrize(
    ("phase", "again"),
    [
        ("baseline", [ApplyLoad]),
        ("growing", [ApplyLoad, GrowData]),
        ("disturbed", [ApplyLoad]),
        ("repairing", [ApplyLoad]),
        ("recovering", [ApplyLoad]),
        ("confirming", [ApplyLoad]),
        ("auditing", [ApplyLoad]),
        ("healing", [ApplyLoad, CloseTrial]),
        ("paused", [ApplyLoad]),
    ],
)
def test_each_phase_says_how_it_restarts(phase: str, again: list[type]) -> None:
    drive = resume(AFTER_PREPARING[phase](Drive())).stack_ready("r1")
    assert [type(command) for command in drive.commands] == again


@pytest.mark.parametrize("way", AFTER_PREPARING.values(), ids=AFTER_PREPARING.keys())
def test_a_resumed_campaign_ends_as_it_would_have(way: Way) -> None:
    drive = resume(stop(way(Drive())))
    drive.stack_ready(drive.campaign.revision)
    if drive.index == 0:
        _finish_trial(drive)
    assert drive.campaign.done[0].verdict == Resolved()


def _finish_trial(drive: Drive) -> None:
    ways: dict[str, Way] = {
        "baseline": Drive.to_healing,
        "growing": lambda it: _from_disturbed(it.data_grown()),
        "disturbed": _from_disturbed,
        "repairing": lambda it: _from_recovering(
            it.load_applied().deploy("d2").resolve().end_session()
        ),
        "recovering": _from_recovering,
        "confirming": _from_confirming,
        "auditing": Drive.pass_gates,
        "healing": lambda it: it,
    }
    ways[drive.phase](drive).load_applied()


def _from_disturbed(drive: Drive) -> Drive:
    drive.load_applied().tick(5, red=drive.broken).deploy("d2").resolve().end_session()
    return _from_recovering(drive)


def _from_recovering(drive: Drive) -> Drive:
    return _from_confirming(drive.tick(10))


def _from_confirming(drive: Drive) -> Drive:
    drive.load_applied().tick(7)
    return drive.load_applied().tick(30).pass_gates()


def test_growth_is_asked_for_again_under_the_same_id() -> None:
    drive = resume(Drive().to_growing()).stack_ready()
    assert [command.id for command in drive.commands if isinstance(command, GrowData)] == [
        "t0-growth"
    ]


def test_a_new_session_gets_what_is_left_of_the_wall_time() -> None:
    plan = replace(make_plan(2), budget=Budget(wall_s=100.0, turns=7))
    drive = Drive(plan).to_repairing().tick(30, red=["p0_latency"])
    resume(drive, after_s=5000.0).skip(60.0).stack_ready().skip(3.0).load_applied()
    session = drive.commands[-1]
    assert isinstance(session, StartSession)
    assert session.session == 2
    assert session.budget == Budget(wall_s=70.0, turns=7)
    assert drive.tick(69, red=["p0_latency"]).phase == "repairing"
    drive.tick(red=["p0_latency"])
    assert drive.commands == (CancelSession(trial=0, ticket="T001", session=2),)


def test_a_session_is_started_anew_only_once_the_load_is_back() -> None:
    drive = resume(Drive().to_repairing()).stack_ready("r1")
    assert drive.commands == (ApplyLoad(id="t0-again", trial=0, load=drive.campaign.load),)
    assert drive.tick(20).commands == ()
    assert (drive.phase, drive.trial.sessions) == ("repairing", 1)
    (session,) = drive.load_applied().commands
    assert isinstance(session, StartSession)
    assert session.session == drive.trial.sessions == 2
    assert drive.load_applied("t0-again").commands == ()


def test_what_a_load_takes_to_come_back_is_neither_clean_nor_red_nor_the_tickets_time() -> None:
    plan = replace(make_plan(2), budget=Budget(wall_s=100.0))
    drive = resume(Drive(plan).to_repairing().deploy("d1").tick(30)).stack_ready("r1")
    assert drive.tick(150, red=["p1_latency"]).phase == "repairing"
    assert drive.trial.violated == ("p0_latency",)
    session = drive.load_applied().commands[-1]
    assert isinstance(session, StartSession)
    assert session.budget.wall_s == 70.0


def test_a_crash_while_a_session_waits_for_its_load_is_one_more_resume() -> None:
    drive = resume(resume(Drive().to_repairing()).stack_ready("r1")).stack_ready("r1")
    assert [type(command) for command in drive.commands] == [ApplyLoad]
    assert drive.load_applied().trial.sessions == 2


def test_a_load_that_does_not_come_back_is_the_harness_fault() -> None:
    drive = resume(Drive().to_repairing()).stack_ready("r1")
    drive.send(
        CommandFailed(
            at=drive.at, trial=0, command="apply_load", component="loadgen", reason="gone"
        )
    )
    assert drive.trial.verdict == Inconclusive(fault="loadgen", reason="gone")


def test_a_deployments_end_that_is_learnt_at_the_resume_does_not_cost_wall_time() -> None:
    plan = replace(make_plan(2), budget=Budget(wall_s=100.0))
    drive = Drive(plan).to_repairing().request_deployment().skip(5000.0)
    drive.finish_deployment().send(Resumed(at=drive.at))
    assert drive.commands == (PrepareStack(trial=0, fresh=False, revision="r1"),)
    session = drive.stack_ready("r1").load_applied().commands[-1]
    assert isinstance(session, StartSession)
    assert session.budget.wall_s == 100.0


def test_a_deployment_that_ends_while_stopped_has_to_recover_after_the_resume() -> None:
    drive = stop(Drive().to_full_load())
    assert not drive.finish_deployment("behind-our-back", revision="r9").commands
    again = resume(drive).stack_ready("r9").commands
    assert drive.phase == "recovering"
    assert again == (ApplyLoad(id="t0-again", trial=0, load=drive.campaign.full_load),)


def test_a_healing_that_waited_for_a_deployment_is_taken_up_as_healing() -> None:
    drive = Drive().to_repairing().request_deployment()
    drive.send(ComponentDown(at=drive.at, trial=0, component="postgres", reason="exited"))
    stop(drive.load_applied()).finish_deployment()
    assert drive.phase == "healing"
    assert resume(drive).stack_ready("r1").load_applied().index == 1


def test_a_ticket_that_was_resolved_before_the_crash_needs_no_new_session() -> None:
    drive = resume(Drive().to_repairing().deploy().resolve()).stack_ready("r1")
    assert drive.phase == "recovering"
    assert not [command for command in drive.commands if isinstance(command, StartSession)]


def test_nothing_seen_before_the_crash_counts_as_clean() -> None:
    drive = resume(Drive().to_recovering().tick(5)).stack_ready("r1").tick(6)
    assert drive.phase == "recovering"


def test_a_stack_that_does_not_come_back_leaves_a_campaign_that_can_be_resumed() -> None:
    drive = resume(Drive().to_repairing())
    drive.send(StackFailed(at=drive.at, trial=0, component="postgres", reason="port taken"))
    assert drive.campaign.stopped
    assert drive.campaign.trouble == "postgres: port taken"
    resume(drive).stack_ready()
    assert drive.phase == "repairing"
    assert drive.campaign.trouble == ""


def test_a_stop_while_the_stack_comes_back_can_be_resumed_too() -> None:
    drive = stop(resume(Drive().to_disturbed()))
    drive.stack_ready()
    assert drive.campaign.stopped
    assert resume(drive).stack_ready().phase == "disturbed"


def test_a_crash_while_the_stack_comes_back_is_one_more_resume() -> None:
    drive = resume(resume(Drive().to_repairing()))
    assert drive.commands == (PrepareStack(trial=0, fresh=False, revision="r0"),)
    assert drive.stack_ready().phase == "repairing"


def test_the_fold_of_the_journal_is_the_state() -> None:
    drive = resume(stop(Drive().to_full_load())).stack_ready("r1").load_applied().tick(3)
    assert drive.refolded() == drive.campaign
