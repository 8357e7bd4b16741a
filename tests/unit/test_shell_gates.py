"""The gates at work: every finding durable at once, and nothing of them left when they are not."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace

import pytest

from campaign.model import (
    AssertionJudged,
    CommandFailed,
    GatesFinished,
    Inconclusive,
    LoadApplied,
    Resolved,
    Resumed,
    Unresolved,
    Verdict,
)
from campaign.ports import ComponentChange, PortError
from campaign.testing import ALL_WELL, ScriptedAudit, failing, finding, make_plan, play
from tests.shell_kit import Stage


def whole_campaign(found: ScriptedAudit) -> Stage:
    """One trial, in which the gates find this."""

    async def story() -> Stage:
        stage = Stage(plan=make_plan(1))
        stage.stack.world.findings[0] = found
        await stage.run()
        return stage

    return play(story())


def verdict(stage: Stage) -> Verdict | None:
    assert stage.shell.campaign is not None
    return stage.shell.campaign.done[0].verdict


def test_each_finding_is_journaled_as_it_comes_and_then_their_end() -> None:
    stage = whole_campaign(ScriptedAudit())
    judged, (finished,) = stage.recorded(AssertionJudged), stage.recorded(GatesFinished)
    assert tuple(event.result for event in judged) == ALL_WELL
    assert [round(one.at - judged[0].at, 1) for one in judged] == [0.0, 0.5, 1.0, 1.5]
    assert finished.at >= judged[-1].at
    assert {event.audit for event in judged} == {finished.audit} == {"t0-audit-1"}
    assert verdict(stage) == Resolved()


def test_they_begin_when_the_base_load_is_on() -> None:
    stage = whole_campaign(ScriptedAudit())
    events = stage.journal.events
    (first, *_) = stage.recorded(AssertionJudged)
    load = [event for event in events[: events.index(first)] if isinstance(event, LoadApplied)][-1]
    assert load.load_id == "t0-audit"


def test_a_failure_loses_the_trial() -> None:
    stage = whole_campaign(failing("healthy", message="it answered 500"))
    assert verdict(stage) == Unresolved(reason="functional gate: healthy: it answered 500")


@pytest.mark.parametrize(
    ("error", "fault", "reason"),
    [
        (KeyError("oops"), "gates", "KeyError('oops')"),
        (PortError("app", "its document is lost"), "app", "its document is lost"),
    ],
    ids=["unforeseen", "known"],
)
def test_gates_that_break_are_the_harnesss_fault(error: Exception, fault: str, reason: str) -> None:
    stage = whole_campaign(ScriptedAudit(breaks=error))
    assert verdict(stage) == Inconclusive(fault=fault, reason=reason)
    (failure,) = stage.recorded(CommandFailed)
    assert (failure.command, failure.component) == ("run_gates", fault)
    assert len(stage.recorded(AssertionJudged)) == len(ALL_WELL)


def test_gates_that_hang_are_ended_before_the_load_is_healed() -> None:
    stage = whole_campaign(ScriptedAudit(hangs=True))
    assert isinstance(verdict(stage), Inconclusive)
    calls = stage.stack.calls
    assert calls.index("audited t0-audit-1") < calls.index("apply t0-heal")


def test_a_component_that_dies_ends_gates_that_are_at_work() -> None:
    async def story() -> Stage:
        stage = Stage(plan=make_plan(1))
        stage.stack.world.findings[0] = ScriptedAudit(hangs=True)
        run = stage.start()
        await stage.until("auditing")
        await asyncio.sleep(3.0)
        stage.stack.comings_and_goings.put_nowait(
            ComponentChange(component="postgres", up=False, reason="exited")
        )
        await run
        return stage

    stage = play(story())
    assert verdict(stage) == Inconclusive(fault="postgres", reason="exited")
    assert stage.stack.calls.count("audited t0-audit-1") == 1


def test_a_stop_ends_the_gates_and_a_resume_runs_all_of_them_again() -> None:
    async def story() -> Stage:
        stage = Stage(plan=make_plan(1))
        run = stage.start()
        await stage.until("auditing")
        while not stage.recorded(AssertionJudged):  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(0.05)
        await stage.shell.request_stop("ctrl-c")
        await run
        assert stage.stack.calls[-2:] == ["audited t0-audit-1", "apply stop"]
        stage.raise_curtain()
        await stage.run()
        return stage

    stage = play(story())
    assert len(stage.recorded(Resumed)) == 1
    assert stage.stack.world.audits == ["t0-audit-1", "t0-audit-2"]
    campaign = stage.shell.campaign
    assert campaign is not None
    assert campaign.done[0].verdict == Resolved()
    assert campaign.done[0].assertions == ALL_WELL


def test_details_that_are_no_json_do_not_end_the_campaign() -> None:
    when = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    odd = replace(finding("functional", "healthy"), details={"actual": (when, {1: b"x"})})
    stage = whole_campaign(ScriptedAudit(results=(odd,)))
    (judged,) = stage.recorded(AssertionJudged)
    assert judged.result.details == {"actual": ["2026-01-01 00:00:00+00:00", {"1": "b'x'"}]}
    assert verdict(stage) == Resolved()
