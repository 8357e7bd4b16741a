"""Sessions are cancellable tasks of their own; what they leave under way is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from campaign.model import (
    ActionTaken,
    Budget,
    CampaignBudget,
    CommandFailed,
    DeploymentFinished,
    Evaluated,
    Event,
    Finished,
    Inconclusive,
    Resolved,
    SessionEnded,
    SessionOutcome,
    SessionResult,
    Spend,
    Unresolved,
    at_least,
)
from campaign.ports import PortError
from campaign.testing import FakeStack, Tools, make_plan, mend, play
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
        reason="did not recover: p0_latency; the operator: budget spent (wall time: 20 s)"
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
    assert stage.shell.campaign.trial.session_end == "budget spent (wall time: 20 s)"


async def out_of_reach(tools: Tools) -> SessionResult:
    """The first session on a ticket has nobody to work it; the next one has."""
    if tools.assignment.session > 1:
        return await mend(tools)
    await asyncio.sleep(5.0)
    await tools.spend(Spend(turns=1, tokens=100, usd=0.1))
    return SessionResult(
        outcome=SessionOutcome.UNAVAILABLE,
        reason="the provider answers 529",
        spend=Spend(turns=1, tokens=100, usd=0.1),
    )


def test_an_operator_that_cannot_be_reached_stops_the_campaign_with_the_load_healed() -> None:
    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=out_of_reach)
        await stage.run()
        return stage

    stage = play(story())
    campaign = stage.shell.campaign
    assert campaign is not None
    assert (campaign.stopped, campaign.trouble) == (True, "the provider answers 529")
    assert campaign.trial.verdict is None
    assert stage.stack.calls[-1] == "apply stop"
    assert stage.stack.world.load == ()
    assert isinstance(stage.journal.events[-1], SessionEnded)


def test_it_goes_on_with_its_ticket_when_it_is_resumed_hours_later() -> None:
    async def story() -> Stage:
        stage = Stage(plan=SHORT, does=out_of_reach)
        await stage.run()
        await asyncio.sleep(5 * 3600.0)
        stage.raise_curtain()
        await stage.run()
        return stage

    stage = play(story())
    campaign = stage.shell.campaign
    assert campaign is not None
    assert campaign.trial.verdict == Resolved()
    assert [event.session for event in stage.recorded(SessionEnded)] == [1, 2]
    assert at_least(campaign.trial.spends) == Spend(turns=1, tokens=100, usd=0.1)


def test_a_crash_at_any_moment_around_an_absence_loses_no_trial() -> None:
    """The journal refuses one event: the process is gone. The next life has a journal again."""

    async def until_the_end(full_at: int | None) -> Stage:
        stage = Stage(plan=SHORT, does=out_of_reach)
        stage.journal.full_at = full_at
        for _ in range(4):
            with suppress(PortError):
                ended = await stage.run()
                if isinstance(ended.phase, Finished):
                    return stage
            stage.journal.full_at = None
            await asyncio.sleep(60.0)
            stage.raise_curtain()
        raise AssertionError(stage.journal.events[-1])

    events = play(until_the_end(None)).journal.events
    ended = next(n for n, event in enumerate(events) if isinstance(event, SessionEnded))
    for point in range(ended - 8, ended + 8):
        stage = play(until_the_end(point))
        campaign = stage.shell.campaign
        assert campaign is not None
        assert campaign.trial.verdict == Resolved()


def test_no_session_is_started_when_the_campaigns_money_is_spent() -> None:
    async def story() -> Stage:
        plan = replace(SHORT, campaign_budget=CampaignBudget(usd=0.1))
        stage = Stage(plan=plan, does=out_of_reach)
        await stage.run()
        stage.raise_curtain()
        await stage.run()
        return stage

    stage = play(story())
    campaign = stage.shell.campaign
    assert campaign is not None
    assert campaign.trial.sessions == 1
    assert campaign.trial.verdict == Unresolved(
        reason="did not recover: p0_latency; the operator: budget spent (the campaign's $0.10)"
    )
