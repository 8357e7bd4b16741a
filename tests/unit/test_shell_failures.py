"""Whatever an adapter raises becomes an event, and is never a pass."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from campaign.model import (
    CommandFailed,
    ComponentDown,
    ComponentUp,
    Evaluated,
    Finished,
    Inconclusive,
    LoadVector,
    Resolved,
    SessionEnded,
    SessionOutcome,
    SessionResult,
    StackFailed,
    Unresolved,
    Verdict,
)
from campaign.ports import ComponentChange, PortError
from campaign.testing import FakeStack, Tools, make_invariant, make_plan, play
from tests.shell_kit import Stage

REFUSED = PortError("loadgen", "connection refused")


def verdict_of_first_trial(stage: Stage) -> Verdict | None:
    assert stage.shell.campaign is not None
    return stage.shell.campaign.done[0].verdict


def with_fault(part: str, error: Exception, *, since: str, until: str = "") -> Stage:
    """A whole campaign in which `part` raises from one phase to another."""

    async def story() -> Stage:
        stage = Stage()
        run = stage.start()
        await stage.until(since)
        stage.stack.faults.raised[part] = error
        if until:
            await stage.until(until)
            stage.stack.faults.raised.clear()
        await run
        return stage

    return play(story())


@pytest.mark.parametrize(
    ("error", "fault", "reason"),
    [
        (REFUSED, "loadgen", "connection refused"),
        (KeyError("oops"), "ratchet", "KeyError('oops')"),
    ],
    ids=["known", "unforeseen"],
)
def test_a_part_that_fails_spoils_the_trial(error: Exception, fault: str, reason: str) -> None:
    stage = with_fault("grow", error, since="baseline", until="healing")
    assert verdict_of_first_trial(stage) == Inconclusive(fault=fault, reason=reason)
    (failure, *_) = stage.recorded(CommandFailed)
    assert (failure.command, failure.component) == ("grow_data", fault)


def test_a_load_that_cannot_be_applied_spoils_the_trial() -> None:
    stage = with_fault("apply", REFUSED, since="growing", until="healing")
    assert verdict_of_first_trial(stage) == Inconclusive(fault="loadgen", reason=REFUSED.reason)


def test_metrics_that_cannot_be_had_are_an_evaluation_without_samples() -> None:
    stage = with_fault(
        "observe", PortError("prometheus", "gone"), since="disturbed", until="healing"
    )
    blind = [event for event in stage.recorded(Evaluated) if event.missing]
    assert blind
    assert all(event.samples == () for event in blind)
    assert verdict_of_first_trial(stage) == Inconclusive(fault="metrics", reason="prometheus: gone")


def test_a_stack_that_does_not_come_up_ends_the_campaign() -> None:
    async def story() -> Stage:
        stage = Stage()
        stage.stack.faults.raised["prepare"] = PortError("postgres", "not found on PATH")
        await stage.run()
        return stage

    stage = play(story())
    assert [event.component for event in stage.recorded(StackFailed)] == ["postgres"]
    assert stage.shell.campaign is not None
    assert isinstance(stage.shell.campaign.phase, Finished)
    assert stage.shell.campaign.phase.failure == "postgres: not found on PATH"


def test_a_trial_that_cannot_be_put_away_does_not_hold_up_the_campaign() -> None:
    stage = with_fault("close_trial", RuntimeError("disk"), since="baseline")
    assert verdict_of_first_trial(stage) == Resolved()
    assert stage.stack.world.closed == set()


def test_writes_that_a_trial_lost_are_not_held_against_the_next_one() -> None:
    async def story() -> Stage:
        plan = make_plan(2)
        lost = replace(make_invariant("lost"), kind="correctness")
        stage = Stage(plan=replace(plan, invariants=(*plan.invariants, lost)))
        playing = stage.start()
        await stage.until("recovering")
        began = stage.stack.clock.now()
        stage.stack.world.red["lost"] = [(began, began + 90.0)]
        await playing
        return stage

    stage = play(story())
    assert stage.stack.calls.count("write off lost") == 1
    assert stage.shell.campaign is not None
    first, second = stage.shell.campaign.done
    assert isinstance(first.verdict, Unresolved)
    assert second.verdict == Resolved()


def test_a_load_that_cannot_be_healed_at_the_end_is_no_reason_to_hang() -> None:
    stage = with_fault("apply", REFUSED, since="baseline")
    assert stage.shell.campaign is not None
    assert stage.shell.campaign.phase.kind == "finished"


def test_an_operator_whose_software_crashes_is_judged_by_what_runs() -> None:
    async def crash(tools: Tools) -> SessionResult:
        raise ZeroDivisionError(tools.assignment.ticket.id)

    async def story() -> Stage:
        stage = Stage(does=crash)
        await stage.run()
        return stage

    stage = play(story())
    (ended, *_) = stage.recorded(SessionEnded)
    assert ended.outcome is SessionOutcome.FAILED
    assert verdict_of_first_trial(stage) == Unresolved(
        reason="did not recover: p0_latency; the operator: failed (ZeroDivisionError('T001'))"
    )


def test_a_session_that_a_part_of_the_harness_broke_is_nobodys_loss() -> None:
    async def broken(tools: Tools) -> SessionResult:
        raise PortError("supervisor", f"socket gone for {tools.assignment.ticket.id}")

    async def story() -> Stage:
        stage = Stage(does=broken)
        await stage.run()
        return stage

    assert verdict_of_first_trial(play(story())) == Inconclusive(
        fault="supervisor", reason="socket gone for T001"
    )


def test_parts_that_come_and_go_are_events() -> None:
    async def story() -> Stage:
        stage = Stage()
        run = stage.start()
        await stage.until("repairing")
        for change in (
            ComponentChange(component="loadgen", up=False, reason="status -9"),
            ComponentChange(component="loadgen", up=True),
        ):
            stage.stack.comings_and_goings.put_nowait(change)
        await run
        return stage

    stage = play(story())
    assert [event.component for event in stage.recorded(ComponentDown)] == ["loadgen"]
    assert [event.component for event in stage.recorded(ComponentUp)] == ["loadgen"]
    assert verdict_of_first_trial(stage) == Inconclusive(fault="loadgen", reason="status -9")


def test_a_watch_that_fails_is_a_fault_and_is_set_up_again() -> None:
    async def story() -> Stage:
        stage = Stage()
        run = stage.start()
        await stage.until("disturbed")
        stage.stack.faults.raised["changes"] = PortError("stack", "lost sight of the children")
        stage.stack.comings_and_goings.put_nowait(ComponentChange(component="x", up=True))
        await stage.until("healing")
        stage.stack.faults.raised.clear()
        await asyncio.sleep(3.0)
        stage.stack.comings_and_goings.put_nowait(ComponentChange(component="y", up=True))
        await run
        return stage

    stage = play(story())
    assert verdict_of_first_trial(stage) == Inconclusive(
        fault="stack", reason="lost sight of the children"
    )
    assert [event.component for event in stage.recorded(ComponentUp)] == ["y"]


class SlowGenerator(FakeStack):
    """Takes five seconds to reach full load."""

    async def apply(self, load: LoadVector, *, load_id: str) -> None:
        await self.clock.sleep(5.0 if load_id.endswith("full") else 0.0)
        await super().apply(load, load_id=load_id)


def test_a_load_that_is_still_being_applied_cannot_overtake_the_healing() -> None:
    async def story() -> Stage:
        stage = Stage()
        stage.stack = SlowGenerator(stage.stack.world)
        stage.raise_curtain()
        run = stage.start()
        await stage.until("disturbed")
        lost = ComponentChange(component="postgres", up=False, reason="exited")
        stage.stack.comings_and_goings.put_nowait(lost)
        await run
        return stage

    calls = play(story()).stack.calls
    assert calls.index("apply t0-full") < calls.index("apply t0-heal")
