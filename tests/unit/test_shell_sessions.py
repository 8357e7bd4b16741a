"""Sessions are cancellable tasks of their own; what they leave under way is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from campaign.model import (
    ActionTaken,
    Budget,
    CommandFailed,
    DeploymentFinished,
    Evaluated,
    Event,
    Inconclusive,
    Resolved,
    SessionEnded,
    SessionOutcome,
    SessionResult,
    Unresolved,
)
from campaign.ports import PortError
from campaign.testing import FakeStack, Tools, make_plan, play
from tests.shell_kit import Stage

SHORT = replace(make_plan(1), budget=Budget(wall_s=20.0))


async def sleep_for_ever(tools: Tools) -> SessionResult:
    await tools.edit()
    await asyncio.Event().wait()
    raise AssertionError


async def deploy_too_late(tools: Tools) -> SessionResult:
    """Is cut short in the middle of a deployment, which the supervisor finishes by itself."""
    await asyncio.sleep(19.0)
    await tools.deploy(mends=frozenset({"p0"}))
    raise AssertionError


class GoesOn(FakeStack):
    """A supervisor that finishes what it was asked for, whoever left."""

    async def unfinished_deployments(self, events: Sequence[Event]) -> Sequence[DeploymentFinished]:
        await self.clock.sleep(5.0)
        self.world.deploy("T001-s1-d1", "late", frozenset({"p0"}), at=self.clock.now())
        return await super().unfinished_deployments(events)


def test_nothing_queues_behind_a_session() -> None:
    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=sleep_for_ever)
        await stage.run()
        return stage

    stage = play(story())
    (action,) = stage.recorded(ActionTaken)
    after = [event for event in stage.recorded(Evaluated) if action.at < event.at < action.at + 15]
    assert len(after) >= 14


def test_a_spent_budget_cancels_the_session() -> None:
    cancelled = asyncio.Event()

    async def work(tools: Tools) -> SessionResult:
        try:
            return await sleep_for_ever(tools)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=work)
        await stage.run()
        return stage

    stage = play(story())
    assert cancelled.is_set()
    assert stage.recorded(SessionEnded) == []
    assert stage.shell.campaign is not None
    assert stage.shell.campaign.trial.verdict == Unresolved(
        reason="did not recover: p0_latency; the operator: wall-time budget spent"
    )


def test_a_deployment_that_outlives_its_session_still_counts() -> None:
    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=deploy_too_late)
        stage.stack = GoesOn(stage.stack.world)
        stage.raise_curtain()
        await stage.run()
        return stage

    stage = play(story())
    (finished,) = stage.recorded(DeploymentFinished)
    assert finished.ok
    assert stage.shell.campaign is not None
    assert stage.shell.campaign.trial.verdict == Resolved()


def test_a_deployment_that_was_cut_off_with_its_session_is_no_success() -> None:
    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=deploy_too_late)
        await stage.run()
        return stage

    stage = play(story())
    (finished,) = stage.recorded(DeploymentFinished)
    assert (finished.ok, finished.reason) == (False, "interrupted")
    assert stage.shell.campaign is not None
    assert isinstance(stage.shell.campaign.trial.verdict, Unresolved)


def test_a_deployment_whose_end_nobody_knows_is_the_harness_fault() -> None:
    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=deploy_too_late)
        stage.stack.faults.raised["unfinished_deployments"] = PortError("supervisor", "gone")
        await stage.run()
        return stage

    stage = play(story())
    assert [event.command for event in stage.recorded(CommandFailed)] == ["settle_deployments"]
    assert stage.shell.campaign is not None
    assert stage.shell.campaign.trial.verdict == Inconclusive(fault="supervisor", reason="gone")


def test_a_session_that_refuses_to_be_cancelled_can_change_nothing_any_more() -> None:
    async def stubborn(tools: Tools) -> SessionResult:
        try:
            return await sleep_for_ever(tools)
        except asyncio.CancelledError:
            await tools.resolve()
            return SessionResult(outcome=SessionOutcome.RESOLVED)

    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=stubborn)
        await stage.run()
        return stage

    stage = play(story())
    assert len(stage.recorded(SessionEnded)) == 1
    assert stage.shell.campaign is not None
    assert stage.shell.campaign.trial.resolved_at is None
    assert stage.shell.campaign.trial.session_end == "wall-time budget spent"
