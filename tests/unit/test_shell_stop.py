"""Stop, crash and resume: the load is healed last, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from campaign.machine import fold
from campaign.model import (
    ActionTaken,
    DeploymentFinished,
    DeploymentRequested,
    LoadApplied,
    LoadVector,
    Resolved,
    Resumed,
    SessionEnded,
    SessionOutcome,
    SessionResult,
    Spend,
    SpendNoted,
    StopRequested,
)
from campaign.ports import PortError
from campaign.shell import CampaignOverError
from campaign.testing import FakeStack, Tools, make_plan, play
from tests.shell_kit import Stage

PHASES = (
    "preparing",
    "baseline",
    "growing",
    "disturbed",
    "repairing",
    "recovering",
    "confirming",
    "auditing",
    "healing",
)


@pytest.mark.parametrize("phase", PHASES)
def test_a_stop_in_any_phase_heals_the_load_last_and_can_be_resumed(phase: str) -> None:
    async def story() -> Stage:
        stage = Stage()
        run = stage.start()
        await stage.until(phase)
        await stage.shell.request_stop("ctrl-c")
        stopped = await run
        assert stopped.stopped
        assert stage.stack.calls[-1] == "apply stop"
        assert stage.stack.world.load == ()
        stage.raise_curtain()
        await stage.run()
        return stage

    stage = play(story())
    campaign = stage.shell.campaign
    assert campaign is not None
    assert [record.verdict for record in campaign.done] == [Resolved(), Resolved()]
    assert stage.stack.world.grown == {"t0-growth": 1, "t1-growth": 1}
    assert stage.stack.world.closed == {0, 1}
    assert len(stage.recorded(StopRequested)) == len(stage.recorded(Resumed)) == 1


@pytest.mark.parametrize("after_s", [0.5 + 1.37 * step for step in range(60)])
def test_a_shell_that_is_killed_at_any_time_is_taken_up_where_it_was(after_s: float) -> None:
    async def story() -> Stage:
        stage = Stage()
        for _ in range(2):
            run = stage.start()
            await asyncio.sleep(after_s)
            run.cancel()
            await asyncio.wait({run})
            stage.raise_curtain()
        await stage.run()
        return stage

    stage = play(story())
    campaign, world = stage.shell.campaign, stage.stack.world
    assert campaign is not None
    assert [record.verdict for record in campaign.done] == [Resolved(), Resolved()]
    assert world.grown == {"t0-growth": 1, "t1-growth": 1}
    assert len(world.switches) == len(set(world.switches))
    asked = {event.deployment for event in stage.recorded(DeploymentRequested)}
    assert {event.deployment for event in stage.recorded(DeploymentFinished)} == asked


class SlowToHeal(FakeStack):
    """Takes a second to put the load back."""

    async def apply(self, load: LoadVector, *, load_id: str) -> None:
        await self.clock.sleep(1.0)
        await super().apply(load, load_id=load_id)


def test_the_load_is_healed_however_often_the_stop_is_interrupted() -> None:
    async def story() -> Stage:
        stage = Stage()
        stage.stack = SlowToHeal(stage.stack.world)
        stage.raise_curtain()
        run = stage.start()
        await stage.until("repairing")
        for _ in range(4):
            run.cancel()
            await asyncio.sleep(0.3)
        with pytest.raises(asyncio.CancelledError):
            await run
        return stage

    stage = play(story())
    assert stage.stack.calls[-1] == "apply stop"
    assert stage.stack.world.load == ()


def test_a_session_that_will_not_end_cannot_keep_the_load_on() -> None:
    released = False

    async def stubborn(tools: Tools) -> SessionResult:
        while not released:
            try:
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                assert tools.assignment
        return SessionResult(outcome=SessionOutcome.GAVE_UP)

    async def story() -> Stage:
        nonlocal released
        stage = Stage(does=stubborn)
        run = stage.start()
        await stage.until("repairing")
        await stage.shell.request_stop("ctrl-c")
        await run
        released = True
        return stage

    assert play(story()).stack.world.load == ()


SPENT = Spend(turns=3, tokens=9_000, usd=0.5)


async def says_what_it_cost(tools: Tools) -> SessionResult:
    """Only when it is interrupted, after the call that it was in the middle of."""
    try:
        await asyncio.Event().wait()
    finally:
        await tools.edit()
        await tools.spend(SPENT)
    raise AssertionError


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_an_interrupted_session_has_cost_is_on_record(how: str) -> None:
    async def story() -> Stage:
        stage = Stage(plan=make_plan(1), does=says_what_it_cost)
        run = stage.start()
        await stage.until("repairing")
        await asyncio.sleep(1.0)
        if how == "stop":
            await stage.shell.request_stop("ctrl-c")
        else:
            run.cancel()
        await asyncio.wait({run})
        return stage

    stage = play(story())
    assert [event.spend for event in stage.recorded(SpendNoted)] == [SPENT]
    assert len(stage.recorded(ActionTaken)) == 1
    assert stage.recorded(SessionEnded) == []
    stage.raise_curtain()
    campaign = fold(stage.journal.events)
    assert campaign is not None
    assert campaign.trial.spends == (SPENT,)
    assert stage.stack.calls[-1] == "apply stop"


def test_a_session_that_is_interrupted_can_neither_deploy_nor_resolve() -> None:
    refused: list[str] = []

    async def goes_on(tools: Tools) -> SessionResult:
        try:
            await asyncio.Event().wait()
        finally:
            for act in (tools.deploy(mends=frozenset({"p0"})), tools.resolve()):
                try:
                    await act
                except CampaignOverError as over:
                    refused.append(str(over))
        raise AssertionError

    async def story() -> Stage:
        stage = Stage(does=goes_on)
        run = stage.start()
        await stage.until("repairing")
        await stage.shell.request_stop("ctrl-c")
        await run
        return stage

    stage = play(story())
    assert len(refused) == 2
    assert isinstance(stage.journal.events[-1], StopRequested)


def test_a_session_that_hears_that_the_campaign_is_over_has_not_crashed() -> None:
    async def hears_of_it(tools: Tools) -> SessionResult:
        try:
            await asyncio.Event().wait()
        finally:
            await tools.resolve()
        raise AssertionError

    async def story() -> Stage:
        stage = Stage(does=hears_of_it)
        run = stage.start()
        await stage.until("repairing")
        await stage.shell.request_stop("ctrl-c")
        await run
        return stage

    with capture_logs() as logs:
        play(story())
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


def test_last_words_that_cannot_be_kept_hold_nothing_up() -> None:
    async def story() -> Stage:
        stage = Stage(does=says_what_it_cost)
        run = stage.start()
        await stage.until("repairing")
        await stage.shell.request_stop("ctrl-c")
        stage.journal.full_at = len(stage.journal.events)
        began = stage.stack.clock.now()
        await run
        assert stage.stack.clock.now() - began < 5
        return stage

    stage = play(story())
    assert stage.stack.calls[-1] == "apply stop"
    assert isinstance(stage.journal.events[-1], StopRequested)


def test_nothing_is_recorded_once_a_campaign_is_over() -> None:
    async def story() -> None:
        stage = Stage()
        run = stage.start()
        await stage.until("baseline")
        await stage.shell.request_stop("ctrl-c")
        await run
        length = len(stage.journal.events)
        with pytest.raises(CampaignOverError):
            await stage.shell.record(LoadApplied(at=stage.shell.now(), trial=0, load_id="x"))
        await stage.shell.request_stop("again")
        assert len(stage.journal.events) == length

    play(story())


def test_whoever_waits_when_the_campaign_ends_is_told_so() -> None:
    async def story() -> None:
        stage = Stage()
        run = stage.start()
        await stage.until("baseline")
        event = LoadApplied(at=stage.shell.now(), trial=0, load_id="x")
        stopping = asyncio.create_task(stage.shell.request_stop("ctrl-c"))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(stage.shell.record(event))
        await asyncio.wait({run, stopping, waiting})
        assert isinstance(waiting.exception(), CampaignOverError)

    play(story())


def test_a_resume_whose_deployments_cannot_be_settled_fails_before_anything_is_done() -> None:
    async def story() -> None:
        stage = Stage()
        run = stage.start()
        await stage.until("repairing")
        await stage.shell.request_stop("ctrl-c")
        await run
        length, calls = len(stage.journal.events), list(stage.stack.calls)
        stage.raise_curtain()
        stage.stack.faults.raised["unfinished_deployments"] = PortError("supervisor", "gone")
        with pytest.raises(PortError, match="gone"):
            await stage.run()
        assert (len(stage.journal.events), stage.stack.calls) == (length, calls)

    play(story())


def test_a_stop_and_the_events_behind_it_leave_a_chain_that_ends_with_the_stop() -> None:
    async def story() -> Sequence[str]:
        stage = Stage()
        run = stage.start()
        await stage.until("disturbed")
        await stage.shell.request_stop("ctrl-c")
        await run
        return [event.kind for event in stage.journal.events]

    assert play(story())[-1] == "stop_requested"
