from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from operators import NoOperator, ReferenceOperator, Repair

from campaign.model import DeploymentRequested, SessionOutcome, SessionResult, TicketResolved
from campaign.staff import repair_book
from campaign.testing import play
from tests.toolbox_kit import ASSIGNMENT, DEPLOYED, REFUSED, Bench
from tests.verification_kit import MENDS, make_catalogue, make_spec

REPAIR = Repair(patch="--- a/x\n+++ b/x\n", root_cause="there was no index")


async def work(bench: Bench) -> SessionResult:
    asked: list[int] = []

    def repairs(trial: int) -> Repair:
        asked.append(trial)
        return REPAIR

    result = await ReferenceOperator(bench.equipment, repairs).work(ASSIGNMENT, bench)
    assert asked == [2]
    return result


async def test_it_patches_deploys_and_resolves_through_the_toolbox() -> None:
    bench = Bench()
    assert (await work(bench)).outcome is SessionOutcome.RESOLVED
    assert [action.tool for action in bench.actions] == ["apply_patch", "deploy", "resolve"]
    assert [event.message for event in bench.events if isinstance(event, DeploymentRequested)] == [
        "there was no index"
    ]
    assert [event.root_cause for event in bench.events if isinstance(event, TicketResolved)] == [
        "there was no index"
    ]


async def test_after_a_crash_a_patch_that_is_applied_already_is_deployed() -> None:
    bench = Bench(answers=[REFUSED])
    assert (await work(bench)).outcome is SessionOutcome.RESOLVED
    assert bench.actions[0].result == "already applied"
    assert len(bench.deployments) == 1


async def test_a_patch_that_does_not_fit_ends_it_before_anything_is_deployed() -> None:
    bench = Bench(answers=[REFUSED, REFUSED])
    result = await work(bench)
    assert result.outcome is SessionOutcome.GAVE_UP
    assert "the patch does not apply" in result.reason
    assert bench.happened == ["action_taken"]


async def test_a_failed_deployment_ends_it_unresolved() -> None:
    bench = Bench(outcome=replace(DEPLOYED, ok=False, reason="no health in 20 s"))
    result = await work(bench)
    assert result.outcome is SessionOutcome.GAVE_UP
    assert "no health in 20 s" in result.reason
    assert "ticket_resolved" not in bench.happened


async def test_a_fault_of_the_harness_is_not_the_operators() -> None:
    with pytest.raises(OSError, match="gone"):
        await work(Bench(failure=OSError("gone")))


async def test_the_none_operator_touches_nothing() -> None:
    bench = Bench()
    result = await NoOperator().work(ASSIGNMENT, bench)
    assert result.outcome is SessionOutcome.GAVE_UP
    assert (bench.events, bench.commands) == ([], [])


async def test_told_to_do_nothing_it_touches_nothing() -> None:
    bench, nothing = Bench(), Repair(patch=None, root_cause="")
    result = await ReferenceOperator(bench.equipment, lambda _: nothing).work(ASSIGNMENT, bench)
    assert result.outcome is SessionOutcome.GAVE_UP
    assert (bench.events, bench.commands) == ([], [])


def test_it_looks_on_for_as_long_as_it_is_told_to() -> None:
    async def looked_on_s(repair: Repair) -> float:
        loop, bench = asyncio.get_running_loop(), Bench()
        began = loop.time()
        await ReferenceOperator(bench.equipment, lambda _: repair).work(ASSIGNMENT, bench)
        return loop.time() - began

    assert play(looked_on_s(replace(REPAIR, after_s=3.0))) == pytest.approx(3.0)
    assert play(looked_on_s(REPAIR)) == pytest.approx(0.0)


def test_a_trials_own_repair_stands_in_for_the_profiles_fix(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path)
    plan = make_spec(catalogue).plan("x")
    book = repair_book(catalogue, plan, repairs={1: REPAIR})
    assert book(0) == Repair(patch=MENDS, root_cause=catalogue.profiles[0].title)
    assert book(1) == REPAIR
