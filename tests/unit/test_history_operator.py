from __future__ import annotations

from dataclasses import replace

from operators import Deed, HistoryOperator

from campaign.model import DeploymentRequested, SessionOutcome, SessionResult, TicketResolved
from tests.toolbox_kit import ASSIGNMENT, DEPLOYED, REFUSED, Bench

EDITED = Deed(did="added an index", patch="--- a/x\n+++ b/x\n", resolved=True)


async def work(bench: Bench, deed: Deed | None) -> SessionResult:
    asked: list[int] = []

    def book(trial: int) -> Deed | None:
        asked.append(trial)
        return deed

    result = await HistoryOperator(bench.equipment, book).work(ASSIGNMENT, bench)
    assert asked == [ASSIGNMENT.trial]
    return result


async def test_an_edit_is_made_deployed_and_told_as_the_root_cause() -> None:
    bench = Bench()
    assert (await work(bench, EDITED)).outcome is SessionOutcome.RESOLVED
    assert [action.tool for action in bench.actions] == ["apply_patch", "deploy", "resolve"]
    told = [event.message for event in bench.events if isinstance(event, DeploymentRequested)]
    causes = [event.root_cause for event in bench.events if isinstance(event, TicketResolved)]
    assert told == causes == ["added an index"]


async def test_where_nothing_was_changed_the_ticket_is_resolved_without_a_deployment() -> None:
    bench = Bench()
    result = await work(bench, replace(EDITED, patch=None))
    assert result.outcome is SessionOutcome.RESOLVED
    assert [action.tool for action in bench.actions] == ["resolve"]
    assert bench.deployments == []


async def test_a_trial_that_was_lost_is_given_up_with_what_was_said_of_it() -> None:
    bench = Bench()
    result = await work(bench, Deed(did="ran out of time", patch=None, resolved=False))
    assert (result.outcome, result.reason) == (SessionOutcome.GAVE_UP, "ran out of time")
    assert (bench.events, bench.commands) == ([], [])


async def test_a_trial_that_history_does_not_know_is_given_up() -> None:
    bench = Bench()
    result = await work(bench, None)
    assert (result.outcome, bench.events) == (SessionOutcome.GAVE_UP, [])
    assert "no such trial" in result.reason


async def test_an_edit_that_does_not_fit_this_campaign_is_told_and_nothing_is_deployed() -> None:
    bench = Bench(answers=[REFUSED, REFUSED])
    result = await work(bench, EDITED)
    assert result.outcome is SessionOutcome.GAVE_UP
    assert "history cannot be repeated here: the patch does not apply" in result.reason
    assert bench.happened == ["action_taken"]


async def test_a_failed_deployment_ends_it_unresolved() -> None:
    bench = Bench(outcome=replace(DEPLOYED, ok=False, reason="no health in 20 s"))
    result = await work(bench, EDITED)
    assert result.outcome is SessionOutcome.GAVE_UP
    assert "no health in 20 s" in result.reason
    assert "ticket_resolved" not in bench.happened
