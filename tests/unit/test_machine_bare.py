"""A bare plan judges sooner, by the same rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.machine import Campaign, step
from campaign.model import Event, Plan, Resolved, Timings, Unresolved
from campaign.testing import (
    Script,
    Simulation,
    World,
    failing,
    idler,
    make_plan,
    mender,
    nobody,
)

PLAN = make_plan(1, mode="isolated")
BARE = replace(PLAN, bare=True)


def play(plan: Plan, script: Script, world: World | None = None) -> tuple[Campaign, list[str]]:
    """The campaign, and its phases in order."""
    journal: list[Event] = []
    Simulation(world or World(plan=plan), journal, operator=script).run()
    campaign: Campaign | None = None
    phases: list[str] = []
    for event in journal:
        campaign = step(campaign, event).campaign
        if phases[-1:] != [campaign.phase.kind]:
            phases.append(campaign.phase.kind)
    assert campaign is not None
    return campaign, phases


def baseline_s(campaign: Campaign) -> float:
    (record,) = campaign.done
    assert record.baseline_at is not None
    return record.baseline_at - record.started_at


def test_its_baseline_is_two_clean_looks() -> None:
    whole, bare = (baseline_s(play(plan, mender)[0]) for plan in (PLAN, BARE))
    saved_s = PLAN.timings.clean_period_s - PLAN.timings.evaluation_s
    assert whole - bare == pytest.approx(saved_s, abs=0.5)


def test_what_recovered_goes_straight_to_the_gates() -> None:
    campaign, phases = play(BARE, mender)
    (record,) = campaign.done
    assert isinstance(record.verdict, Resolved)
    assert record.assertions
    assert record.first_green_at is not None
    assert record.confirmed_at is None
    assert "confirming" not in phases
    assert phases.index("auditing") == phases.index("recovering") + 1
    assert "confirming" in play(PLAN, mender)[1]


def test_the_gates_still_decide() -> None:
    world = World(plan=BARE, findings={0: failing("healthy")})
    campaign, _ = play(BARE, mender, world)
    assert isinstance(campaign.done[0].verdict, Unresolved)


def waited_s(plan: Plan, script: Script) -> float:
    """From the violation to the verdict that it was not repaired."""
    (record,) = play(plan, script)[0].done
    assert isinstance(record.verdict, Unresolved)
    assert record.ended_at is not None
    assert record.violated_at is not None
    return record.ended_at - record.violated_at


def test_an_app_that_nobody_touched_is_waited_for_no_longer_than_one_window() -> None:
    timings = Timings()
    assert waited_s(PLAN, nobody) < timings.clean_period_s + 2
    assert waited_s(PLAN, idler) > timings.recovery_patience_s
    hasty = replace(PLAN, timings=replace(timings, recovery_patience_s=1.0))
    assert waited_s(hasty, nobody) < 3
