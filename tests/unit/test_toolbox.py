from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from operators import Toolbox, ToolError

from campaign.model import DeploymentRequested, TicketResolved
from tests.toolbox_kit import ASSIGNMENT, DEPLOYED, REFUSED, REVISION, Bench

PATCH = "--- a/x\n+++ b/x\n"


def toolbox(bench: Bench) -> Toolbox:
    return Toolbox(bench.equipment, ASSIGNMENT, bench)


async def test_a_patch_is_applied_in_the_sandbox_and_counts_as_an_edit() -> None:
    bench = Bench()
    assert await toolbox(bench).apply_patch(PATCH) == "applied"
    assert bench.commands == [("git", "apply", "--whitespace=nowarn", "-")]
    (action,) = bench.actions
    assert (action.tool, action.arguments, action.result) == (
        "apply_patch",
        {"patch": PATCH},
        "applied",
    )
    assert (action.edit, action.is_error) == (True, False)
    assert (action.trial, action.ticket, action.session) == (2, "T003", 1)


async def test_a_patch_that_is_applied_already_is_left_as_it_is() -> None:
    bench = Bench(answers=[REFUSED])
    assert await toolbox(bench).apply_patch(PATCH) == "already applied"
    assert bench.commands[1] == ("git", "apply", "--reverse", "--check", "-")


async def test_a_patch_that_does_not_fit_is_refused_in_gits_words_and_is_no_edit() -> None:
    bench = Bench(answers=[REFUSED, REFUSED])
    with pytest.raises(ToolError, match=r"does not apply: error: patch failed: schema\.py:58$"):
        await toolbox(bench).apply_patch(PATCH)
    (action,) = bench.actions
    assert (action.is_error, action.edit) == (True, False)
    assert action.result == "the patch does not apply: error: patch failed: schema.py:58"


async def test_a_deployment_is_on_record_before_git_and_the_supervisor_hear_of_it() -> None:
    bench = Bench()
    assert await toolbox(bench).deploy("mend it") == (
        "deployed 0123456789ab in 2.4 s: it is healthy and serves; "
        "see by metrics and logs whether the symptoms go away"
    )
    assert bench.happened == [
        "commit",
        "deployment_requested",
        "adopt",
        "export",
        "deploy",
        "deployment_finished",
        "action_taken",
    ]
    asked = bench.events[0]
    assert isinstance(asked, DeploymentRequested)
    assert (asked.deployment, asked.revision, asked.message) == ("T003-s1-d1", REVISION, "mend it")
    (done,) = bench.deployments
    assert (done.deployment, done.revision, done.ok) == ("T003-s1-d1", REVISION, True)
    assert (done.trial, done.duration_s, done.source_hash) == (2, 2.4, "f00")


async def test_each_deployment_of_a_session_has_an_id_of_its_own() -> None:
    bench = Bench()
    tools = toolbox(bench)
    await tools.deploy("once")
    await tools.deploy("twice")
    assert [done.deployment for done in bench.deployments] == ["T003-s1-d1", "T003-s1-d2"]


async def test_a_failed_deployment_is_an_error_of_the_tool_with_the_reason() -> None:
    reason = "no health in 20 s\nTraceback"
    bench = Bench(outcome=replace(DEPLOYED, ok=False, reason=reason))
    with pytest.raises(ToolError, match="T003-s1-d1 failed: no health in 20 s"):
        await toolbox(bench).deploy("mend it")
    (done,) = bench.deployments
    assert (done.ok, done.reason) == (False, reason)
    assert bench.actions[0].is_error
    assert f"{reason}\n\nIt was rolled back" in bench.actions[0].result


async def test_a_tree_that_cannot_be_committed_is_no_deployment() -> None:
    bench = Bench(unfit="the workspace cannot be deployed: too large")
    with pytest.raises(ToolError, match="too large"):
        await toolbox(bench).deploy("mend it")
    assert bench.happened == ["action_taken"]


async def test_a_part_that_fails_is_on_record_and_passed_on_as_what_it_is() -> None:
    bench = Bench(failure=OSError("the supervisor is gone"))
    with pytest.raises(OSError, match="the supervisor is gone"):
        await toolbox(bench).deploy("mend it")
    assert bench.happened[-2:] == ["deploy", "action_taken"]
    assert bench.actions[0].is_error
    assert bench.equipment.under_way == set()


async def test_a_resolved_ticket_ends_the_session() -> None:
    bench = Bench()
    tools = toolbox(bench)
    await tools.resolve("there was no index")
    assert bench.happened == ["ticket_resolved", "action_taken"]
    said = bench.events[0]
    assert isinstance(said, TicketResolved)
    assert (said.root_cause, said.ticket, said.session) == ("there was no index", "T003", 1)
    for call in (tools.apply_patch, tools.deploy, tools.resolve):
        with pytest.raises(ToolError, match="the session is over"):
            await call("anything")
    assert len(bench.happened) == 2


async def test_a_cancelled_session_leaves_and_its_deployment_still_ends_on_record() -> None:
    bench = Bench()
    bench.may_finish.clear()
    session = asyncio.create_task(toolbox(bench).deploy("mend it"))
    await bench.begun.wait()
    session.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session
    (under_way,) = bench.equipment.under_way
    assert "deployment_finished" not in bench.happened
    bench.may_finish.set()
    await under_way
    assert bench.happened[-1] == "deployment_finished"
    assert bench.equipment.under_way == set()


async def test_a_deployment_that_fails_after_its_session_left_troubles_nobody() -> None:
    bench = Bench(failure=OSError("the stack has stopped"))
    bench.may_finish.clear()
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    session = asyncio.create_task(toolbox(bench).deploy("mend it"))
    await bench.begun.wait()
    session.cancel()
    bench.may_finish.set()
    await asyncio.wait({session, *bench.equipment.under_way})
    await asyncio.sleep(0)
    assert bench.equipment.under_way == set()
    assert troubles == []


async def test_what_is_journaled_of_a_call_is_bounded() -> None:
    bench = Bench()
    await toolbox(bench).apply_patch("x" * 500_000)
    (action,) = bench.actions
    assert action.arguments["patch"] == "x" * 100_000 + (
        "\n[cut: the first 100000 of 500000 characters]"
    )
