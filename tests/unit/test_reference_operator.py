from __future__ import annotations

from dataclasses import replace

import pytest
from operators import NoOperator, ReferenceOperator, Repair

from campaign.model import DeploymentRequested, SessionOutcome, SessionResult, TicketResolved
from tests.toolbox_kit import ASSIGNMENT, DEPLOYED, REFUSED, Bench

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
