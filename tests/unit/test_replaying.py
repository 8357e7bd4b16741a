from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.replaying import (
    RecordedCall,
    RecordedEdit,
    RecordedStep,
    RecordedTicket,
    ReplayDriver,
)
from operators.session import ToolSpec
from operators.toolbox.answer import Answer

from campaign.model import Assignment, SessionOutcome, SessionResult
from tests.command_kit import ASSIGNMENT, FakeSession

EDITOR = "str_replace_based_edit_tool"
DIFF = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
REPLACED = RecordedEdit(
    tool=EDITOR,
    arguments={"command": "str_replace", "path": "x", "old_str": "a", "new_str": "b"},
    diff=DIFF,
)
SED = RecordedEdit(tool="bash", arguments={"command": "sed -i s/a/b/ x"}, diff=DIFF)
DEPLOY = RecordedCall(tool="deploy", arguments={"message": "b instead of a"})
RESOLVE = RecordedCall(tool="resolve", arguments={"root_cause": "it was a"})


def offered(*names: str) -> tuple[ToolSpec, ...]:
    return tuple(ToolSpec(name=name, description="", parameters={}) for name in names)


@dataclass(kw_only=True)
class Again(FakeSession):
    """A session in which some tools fail."""

    failing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.specs = offered("bash", EDITOR, "deploy", "resolve", "write_note", "acknowledge")

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        answer = await super().call(tool, arguments, call=call)
        if tool in self.failing:
            self.resolved = False
            return Answer(text="it does not apply", is_error=True)
        return answer


async def play(session: Again, *steps: RecordedStep, ended: str = "") -> SessionResult:
    asked: list[Assignment] = []

    def book(assignment: Assignment) -> RecordedTicket:
        asked.append(assignment)
        return RecordedTicket(ticket="T003", steps=steps, ended=ended)

    result = await ReplayDriver(book).drive(session)
    assert asked == [ASSIGNMENT]
    return result


async def test_what_was_done_is_done_again_in_the_same_order() -> None:
    session = Again()
    note = RecordedCall(tool="write_note", arguments={"text": "beware of a"})
    result = await play(session, REPLACED, note, DEPLOY, RESOLVE)
    assert result.outcome is SessionOutcome.RESOLVED
    assert [(tool, arguments) for tool, arguments, _ in session.calls] == [
        (EDITOR, REPLACED.arguments),
        ("write_note", note.arguments),
        ("deploy", DEPLOY.arguments),
        ("resolve", RESOLVE.arguments),
    ]


async def test_a_commands_edit_is_repeated_by_what_it_changed_not_by_running_it() -> None:
    session = Again()
    await play(session, SED, RESOLVE)
    (tool, arguments, _), *_ = session.calls
    assert tool == "bash"
    assert "sed" not in arguments["command"]
    assert DIFF in arguments["command"]
    assert "git apply" in arguments["command"]


async def test_a_patch_that_holds_the_mark_of_its_own_end_stays_whole() -> None:
    session = Again()
    diff = f"{DIFF}+END_OF_RECORDED_PATCH\n"
    await play(session, RecordedEdit(tool="bash", arguments={}, diff=diff), RESOLVE)
    assert "<<'END_OF_RECORDED_PATCH_'" in session.calls[0][1]["command"]


async def test_an_edit_that_the_editor_refuses_is_tried_by_its_diff() -> None:
    session = Again(failing={EDITOR})
    assert (await play(session, REPLACED, RESOLVE)).outcome is SessionOutcome.RESOLVED
    assert [tool for tool, _, _ in session.calls] == [EDITOR, "bash", "resolve"]


async def test_an_edit_that_does_not_apply_ends_it_with_the_reason() -> None:
    session = Again(failing={EDITOR, "bash"})
    result = await play(session, REPLACED, DEPLOY, RESOLVE)
    assert result.outcome is SessionOutcome.GAVE_UP
    assert result.reason == (f"step 1 of 3 cannot be repeated: {EDITOR}: it does not apply")
    assert not session.resolved


async def test_an_edit_whose_record_was_cut_is_never_made_up() -> None:
    session = Again()
    cut = RecordedEdit(tool="bash", arguments={}, diff=DIFF, diff_cut=True)
    result = await play(session, cut, DEPLOY)
    assert "not whole" in result.reason
    assert session.calls == []


async def test_a_deployment_that_fails_now_and_did_not_then_ends_it() -> None:
    result = await play(Again(failing={"deploy"}), DEPLOY, RESOLVE)
    assert "step 1 of 2 cannot be repeated: deploy: it does not apply" in result.reason


async def test_a_deployment_that_failed_then_may_fail_again() -> None:
    failed = RecordedCall(tool="deploy", arguments={"message": "x"}, failed=True)
    result = await play(Again(failing={"deploy"}), failed, RESOLVE)
    assert result.outcome is SessionOutcome.RESOLVED


async def test_a_plan_is_left_out_where_none_is_asked_for() -> None:
    session = Again()
    plan = RecordedCall(tool="file_plan", arguments={"plan": "x"})
    assert (await play(session, plan, RESOLVE)).outcome is SessionOutcome.RESOLVED
    assert [tool for tool, _, _ in session.calls] == ["resolve"]


async def test_a_ticket_that_was_lost_is_given_up_with_how_it_ended() -> None:
    result = await play(Again(), DEPLOY, ended="budget spent: 30 minutes are over")
    assert result.outcome is SessionOutcome.GAVE_UP
    assert result.reason.endswith("budget spent: 30 minutes are over")


async def test_a_ticket_that_was_never_recorded_is_given_up() -> None:
    result = await ReplayDriver(lambda _: None).drive(Again())
    assert result.reason == "the recording has no such ticket"


async def test_a_spent_budget_ends_it_between_two_steps() -> None:
    session = Again(spent_budget="no more turns")
    result = await play(session, DEPLOY, RESOLVE)
    assert (result.outcome, result.reason) == (SessionOutcome.BUDGET_SPENT, "no more turns")
    assert session.calls == []
