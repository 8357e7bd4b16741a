from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from operators import Answer, Decision, Toolbox, ToolError
from operators.toolbox.approving import for_people
from operators.toolbox.instruments import AppAnswer, Rows
from operators.toolbox.pace import Pace

from campaign.adapters.journal.codec import decode, encode
from campaign.model import (
    AccessRefused,
    ActionTaken,
    ApprovalAnswered,
    ApprovalAsked,
    CommandResult,
    DeploymentRequested,
    Event,
    OperatorOptions,
    PlanFiled,
    TicketResolved,
)
from tests.toolbox_kit import ASSIGNMENT, DEPLOYED, RUNNING, Bench, Panel, Told, full_toolbox

FINE = CommandResult(exit_code=0, output="fine\n")
READ_LOGS: dict[str, Any] = {}


def traced(bench: Bench, panel: Panel, trace: Told) -> Toolbox:
    return Toolbox(
        bench.equipment,
        ASSIGNMENT,
        bench,
        instruments=panel.instruments,
        shell=panel,
        trace=trace,
    )


class Frozen(Bench):
    """Where time passes only as a test says."""

    async def record(self, event: Event) -> None:
        await super().record(event)
        self.at -= 1


# -- what is kept --------------------------------------------------------------------------------


async def test_every_call_is_journaled_with_all_that_is_known_of_it() -> None:
    bench, panel = (
        Bench(trees=["t1", "t2"]),
        Panel(answers=[CommandResult(exit_code=3, output="x")]),
    )
    answer = await full_toolbox(bench, panel).call("bash", {"command": "make"}, call="toolu_1")
    (action,) = bench.actions
    assert (action.trial, action.ticket, action.session) == (2, "T003", 1)
    assert (action.tool, action.arguments, action.call) == ("bash", {"command": "make"}, "toolu_1")
    assert (action.result, action.is_error) == ("x\n[exit code 3]", False)
    assert (action.exit_code, action.edit, action.diff) == (3, True, "diff t1 t2\n")
    assert action.duration_s == 0
    assert (answer.text, answer.exit_code, answer.diff) == ("x\n[exit code 3]", 3, "diff t1 t2\n")


async def test_calls_without_a_name_get_one_and_no_name_is_given_twice() -> None:
    bench = Bench()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    for call in ("", "mine", "mine", "T003-s1-c5", "", "x" * 5_000):
        await tools.call("read_ticket", {}, call=call)
    names = [action.call for action in bench.actions]
    assert names[:3] == ["T003-s1-c1", "mine", "mine-3"]
    assert len(set(names)) == len(names) == 6
    assert all(len(name) < 120 for name in names)


async def test_the_trace_is_told_of_each_call_before_and_after_it_by_the_same_name() -> None:
    bench, panel, trace = Bench(), Panel(answers=[FINE]), Told()
    tools = traced(bench, panel, trace)
    answer = await tools.call("bash", {"command": "ls"}, call="c1")
    wrong = await tools.call("bsh", {"command": "ls"})
    assert trace.lines == [
        ("use", "c1", "bash", {"command": "ls"}),
        ("result", "c1", "bash", answer),
        ("use", "T003-s1-c2", "bsh", {"command": "ls"}),
        ("result", "T003-s1-c2", "bsh", wrong),
    ]


async def test_of_a_very_long_argument_the_beginning_is_kept() -> None:
    bench, trace = Bench(), Told()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench, trace=trace)
    asked = {"command": "create", "path": "a", "file_text": "x" * 1_000_000}
    await tools.call("str_replace_based_edit_tool", asked)
    kept = bench.actions[0].arguments
    assert kept["file_text"] == "x" * 100_000 + "\n[cut: the first 100000 of 1000000 characters]"
    assert trace.lines[0][3] == kept


async def test_long_results_are_cut_on_record_and_say_so() -> None:
    output = CommandResult(exit_code=0, output="a" * 100_000 + "the end")
    bench, panel = Bench(), Panel(answers=[output])
    answer = await full_toolbox(bench, panel).call("bash", {"command": "yes"})
    assert len(answer.text) < 31_000
    assert "[cut: 70007 characters]" in answer.text
    assert answer.text.endswith("the end\n[exit code 0]")
    assert bench.actions[0].result == answer.text[:20_000] + (
        f"\n[cut: the first 20000 of {len(answer.text)} characters]"
    )


# -- what callers do wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("bsh", {}, "no tool named 'bsh' (did you mean bash?); the tools are: read_ticket, bash"),
        ("Deploy", {}, "did you mean deploy?"),
        ("file_plan", {"plan": "x"}, "there is no tool named 'file_plan'"),
        ("apply_patch", {"patch": "x"}, "there is no tool named 'apply_patch'"),
        ("x" * 10_000_000, {}, "there is no tool named 'xxx"),
        ("a\0b\ud800", {}, "there is no tool named"),
        ("deploy", {}, "message: it is required. Expected: The commit's message"),
        ("deploy", {"message": "  "}, "message: it is empty: say what was changed"),
        ("deploy", {"mesage": "x"}, "mesage: there is no such argument (did you mean message?)"),
        ("deploy", {"message": None}, "message: Input should be a valid string"),
        ("deploy", {"message": {"a": 1}}, "message: Input should be a valid string"),
        ("deploy", {"message": "a\0b"}, "deploy: message: holds a NUL character"),
        ("deploy", {"message": "\udcff"}, "deploy: message: holds half of a surrogate pair"),
        ("deploy", {"message": "x" * 10_000_000}, "message: String should have at most 5000"),
        ("deploy", {"message": "m", "x" * 10_000_000: 1}, "there is no such argument"),
        ("deploy", ["message"], "deploy: its arguments must be one object; it takes message"),
        ("deploy", "message", "must be one object"),
        ("deploy", None, "must be one object"),
        ("read_ticket", {"id": "T001"}, "id: there is no such argument; it takes none"),
        ("bash", {"command": "ls", "timeout_s": 601}, "timeout_s: Input should be less than or eq"),
        ("bash", {"command": "ls", "timeout_s": float("nan")}, "timeout_s: Input should be a fin"),
        ("bash", {"command": "ls", "timeout_s": 0}, "timeout_s: Input should be greater than 0"),
        ("bash", {"command": "ls", "timeout_s": 10**5_000}, "timeout_s: "),
        ("bash", {}, "command is missing: say what to run, or restart: true"),
        ("sql", {"query": "select 1", "max_rows": 1_001}, "max_rows: Input should be less than"),
        ("resolve", {"root_cause": "\n"}, "root_cause: it is empty"),
        ("resolve", {"root_cause": "x", "files": "main.py"}, "files: Input should be a valid list"),
        ("resolve", {"root_cause": "x", "files": ["a"] * 51}, "files: List should have at most 50"),
    ],
)
async def test_what_a_caller_does_wrong_is_an_answer_that_says_what_is_expected(
    tool: str, arguments: Any, said: str
) -> None:
    bench, panel = Bench(), Panel()
    tools = full_toolbox(bench, panel)
    answer = await tools.call(tool, arguments)
    assert answer.is_error
    assert said in answer.text
    assert len(answer.text) < 2_000
    (action,) = bench.actions
    assert (action.is_error, action.result, action.edit) == (True, answer.text, False)
    assert (panel.asked, bench.commands, tools.resolved) == ([], [], False)


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": nested(100_000)},
        {"command": {"a" * 1_000_000: "b" * 10_000_000}},
        {"command": ["x"] * 1_000_000},
        {str(number): "x" for number in range(100_000)},
        {"command": "\0\ud800" * 100_000},
        {"command": float("inf"), "timeout_s": -(10**10_000)},
        {"command": b"bytes", 7: object()},
        {"command": [["x" * 50_000] * 100] * 10},
    ],
)
async def test_whatever_is_sent_the_record_of_it_is_small_and_can_be_read_back(
    arguments: Any,
) -> None:
    bench, trace = Bench(), Told()
    tools = traced(bench, Panel(), trace)
    assert (await tools.call("bash", arguments)).is_error
    (action,) = bench.actions
    assert decode(encode(action), seq=1) == action
    assert len(encode(action)) < 1_000_000
    json.dumps(trace.lines[0][3], allow_nan=False)


async def test_an_approval_for_a_tool_that_is_none_is_the_harnesss_mistake() -> None:
    bench = Bench()
    with pytest.raises(ValueError, match="deploi, which is no tool"):
        Toolbox(bench.equipment, ASSIGNMENT, bench, options=OperatorOptions(approve=("deploi",)))


# -- refusals and failures of the tools ----------------------------------------------------------


async def test_a_tools_no_is_an_answer_and_the_session_goes_on() -> None:
    bench = Bench()
    panel = Panel(answers=[ToolError("syntax error at SELEC"), ["line"]])
    tools = full_toolbox(bench, panel)
    answer = await tools.call("sql", {"query": "SELEC 1"})
    assert (answer.is_error, answer.text) == (True, "syntax error at SELEC")
    assert not (await tools.call("read_logs", {})).is_error


async def test_what_the_boundary_forbids_is_on_record_twice() -> None:
    bench, panel = Bench(), Panel(answers=[PermissionError("only the app can be asked")])
    answer = await full_toolbox(bench, panel).call("http_request", {"method": "GET", "path": "/x"})
    assert (answer.is_error, answer.text) == (True, "only the app can be asked")
    refused, action = bench.events
    assert isinstance(refused, AccessRefused)
    assert refused.what == "http_request: only the app can be asked"
    assert isinstance(action, ActionTaken)


@pytest.mark.parametrize(
    "failure", [RuntimeError("/srv/harness/socket is gone"), PermissionError(13, "denied")]
)
async def test_a_failure_of_the_harness_is_raised_and_only_the_journal_knows_its_words(
    failure: Exception,
) -> None:
    bench, trace = Bench(), Told()
    tools = traced(bench, Panel(answers=[failure]), trace)
    with pytest.raises(type(failure)):
        await tools.call("sql", {"query": "select 1"})
    (action,) = bench.actions
    assert (action.is_error, action.result) == (True, str(failure))
    told: Answer = trace.lines[-1][3]
    assert told.is_error
    assert "harness" not in told.text
    assert [event.kind for event in bench.events] == ["action_taken"]


# -- side by side --------------------------------------------------------------------------------


async def started(*calls: Any) -> list[asyncio.Task[Answer]]:
    """Each gets as far as it can by itself."""
    tasks = [asyncio.create_task(call) for call in calls]
    for _ in range(20):
        await asyncio.sleep(0)
    return tasks


async def test_reads_run_beside_each_other_and_beside_a_change() -> None:
    bench, panel = Bench(), Panel(answers=[FINE, ["a"], ["b"]])
    panel.may_answer.clear()
    tools = full_toolbox(bench, panel)
    tasks = await started(
        tools.call("bash", {"command": "sleep"}),
        tools.call("read_logs", {}),
        tools.call("read_logs", {"source": "database"}),
    )
    assert panel.asking == 3
    panel.may_answer.set()
    assert not any(answer.is_error for answer in await asyncio.gather(*tasks))


async def test_changes_go_one_after_the_other_in_the_order_of_the_calls() -> None:
    bench, panel = Bench(), Panel(answers=[FINE, FINE])
    panel.may_answer.clear()
    tools = full_toolbox(bench, panel)
    edit = {"command": "create", "path": "a", "file_text": "x"}
    tasks = await started(
        tools.call("bash", {"command": "first"}),
        tools.call("str_replace_based_edit_tool", edit),
        tools.call("bash", {"command": "second"}),
        tools.call("deploy", {"message": "mend it"}),
        tools.call("resolve", {"root_cause": "it was broken"}),
        tools.call("bash", {"command": "too late"}),
    )
    assert panel.asked == [("first", 60.0)]
    assert bench.commands == []
    panel.may_answer.set()
    answers = await asyncio.gather(*tasks)
    assert [action.tool for action in bench.actions] == [
        "bash",
        "str_replace_based_edit_tool",
        "bash",
        "deploy",
        "resolve",
    ]
    assert "the session is over" in answers[-1].text
    assert (answers[-1].is_error, answers[-1].ends_session) == (True, True)
    assert bench.happened[-2:] == ["ticket_resolved", "action_taken"]


async def test_a_resolve_waits_for_what_is_under_way_and_nothing_comes_after_it() -> None:
    bench, panel = Bench(), Panel(answers=[["a"]])
    panel.may_answer.clear()
    tools = full_toolbox(bench, panel)
    reading, resolving = await started(
        tools.call("read_logs", {}), tools.call("resolve", {"root_cause": "x"})
    )
    assert (bench.events, tools.resolved) == ([], False)
    panel.may_answer.set()
    assert not (await reading).is_error
    assert (await resolving).ends_session
    assert tools.resolved
    assert [event.kind for event in bench.events] == [
        "action_taken",
        "ticket_resolved",
        "action_taken",
    ]
    for name, arguments in (("read_ticket", {}), ("deploy", {"message": "x"}), ("nonsense", {})):
        late = await tools.call(name, arguments)
        assert (late.is_error, late.ends_session) == (True, True)
    assert len(bench.events) == 3


# -- cancellation --------------------------------------------------------------------------------


async def test_a_cancelled_command_is_on_record_with_what_it_changed() -> None:
    bench, panel, trace = Bench(trees=["t1", "t2"]), Panel(answers=[FINE]), Told()
    panel.may_answer.clear()
    (task,) = await started(traced(bench, panel, trace).call("bash", {"command": "sleep 600"}))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (action,) = bench.actions
    assert (action.is_error, action.edit, action.diff) == (True, True, "diff t1 t2\n")
    assert action.result == "cancelled before it was done"
    assert [line[0] for line in trace.lines] == ["use", "result"]


async def test_a_call_cancelled_before_its_turn_is_on_record_and_the_others_go_on() -> None:
    bench, panel = Bench(), Panel(answers=[FINE, FINE])
    panel.may_answer.clear()
    tools = full_toolbox(bench, panel)
    first, second, third = await started(
        *(tools.call("bash", {"command": name}) for name in ("first", "second", "third"))
    )
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert [action.result for action in bench.actions] == [
        "cancelled before its turn came; nothing was done"
    ]
    panel.may_answer.set()
    await asyncio.gather(first, third)
    assert [asked[0] for asked in panel.asked] == ["first", "third"]


async def test_a_cancelled_deployment_goes_on_and_the_call_is_on_record() -> None:
    bench = Bench()
    bench.may_finish.clear()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    task = asyncio.create_task(tools.call("deploy", {"message": "mend it"}))
    await bench.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.happened[-1] == "action_taken"
    (under_way,) = bench.equipment.under_way
    bench.may_finish.set()
    assert await under_way == DEPLOYED
    assert bench.happened[-1] == "deployment_finished"


async def test_the_next_deployment_begins_when_one_whose_caller_left_is_over() -> None:
    bench = Bench()
    bench.may_finish.clear()
    first = asyncio.create_task(
        Toolbox(bench.equipment, ASSIGNMENT, bench).call("deploy", {"message": "one"})
    )
    await bench.begun.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    before = list(bench.happened)
    # Of other sessions: one waits, one has left before it was its turn.
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    left, waits = await started(
        Toolbox(bench.equipment, ASSIGNMENT, bench).call("deploy", {"message": "two"}),
        tools.call("deploy", {"message": "three"}),
    )
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    assert [what for what in bench.happened[len(before) :] if what != "action_taken"] == []
    bench.may_finish.set()
    assert not (await waits).is_error
    done = [what for what in bench.happened if what != "action_taken"]
    one = ["commit", "deployment_requested", "adopt", "export", "deploy", "deployment_finished"]
    assert done == [*one, *one]


async def test_files_that_are_unfit_do_not_keep_the_next_deployment_waiting() -> None:
    bench = Bench(unfit="a link leads out")
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    assert (await tools.call("deploy", {"message": "one"})).is_error
    bench.unfit = ""
    assert not (await tools.call("deploy", {"message": "two"})).is_error


class SlowDesk(Bench):
    """Recording takes until it may go on."""

    def slow_down(self) -> None:
        self.may_record = asyncio.Event()
        self.recording = asyncio.Event()

    async def record(self, event: Event) -> None:
        self.recording.set()
        await self.may_record.wait()
        await super().record(event)


@pytest.mark.parametrize("times", [1, 3])
async def test_what_is_being_recorded_is_recorded_however_often_it_is_cancelled(
    times: int,
) -> None:
    bench = SlowDesk()
    bench.slow_down()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    task = asyncio.create_task(tools.call("resolve", {"root_cause": "x"}))
    await bench.recording.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    bench.may_record.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tools.resolved
    assert bench.happened == ["ticket_resolved", "action_taken"]


async def test_a_deployment_cancelled_while_it_is_put_on_record_is_carried_out() -> None:
    bench = SlowDesk()
    bench.slow_down()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    task = asyncio.create_task(tools.call("deploy", {"message": "x"}))
    await bench.recording.wait()
    task.cancel()
    bench.may_record.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.gather(*bench.equipment.under_way)
    assert sum(isinstance(event, DeploymentRequested) for event in bench.events) == 1
    assert len(bench.deployments) == 1


class ClosedDesk(Bench):
    async def record(self, event: Event) -> None:
        raise RuntimeError(f"the campaign is over: {event.kind}")


async def test_a_cancellation_passes_even_when_nothing_can_be_recorded_any_more() -> None:
    bench, panel = ClosedDesk(), Panel(answers=[FINE])
    panel.may_answer.clear()
    (task,) = await started(full_toolbox(bench, panel).call("bash", {"command": "x"}))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_ticket_that_could_not_be_closed_on_record_is_not_closed() -> None:
    bench = ClosedDesk()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    with pytest.raises(RuntimeError, match="over"):
        await tools.call("resolve", {"root_cause": "x"})
    assert not tools.resolved


# -- plan mode -----------------------------------------------------------------------------------

EDIT = {"command": "create", "path": "a", "file_text": "x"}
CHANGES = [
    ("bash", {"command": "ls"}),
    ("bash", {"restart": True}),
    ("str_replace_based_edit_tool", EDIT),
    ("str_replace_based_edit_tool", {"command": "insert", "path": "a", "insert_line": 0}
     | {"insert_text": "x"}),
    ("str_replace_based_edit_tool", {"command": "str_replace", "path": "a", "old_str": "x"}),
    ("deploy", {"message": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments"), CHANGES)
async def test_without_a_plan_nothing_is_changed(tool: str, arguments: dict[str, Any]) -> None:
    bench, panel = Bench(), Panel()
    answer = await full_toolbox(bench, panel, plan_mode=True).call(tool, arguments)
    assert answer.is_error
    assert "refused until a plan is filed" in answer.text
    assert "file_plan" in answer.text
    assert (panel.asked, bench.commands, bench.happened) == ([], [], ["action_taken"])


async def test_without_a_plan_all_else_works_and_with_one_everything_does() -> None:
    bench, panel = Bench(), Panel(answers=[["a"], FINE])
    tools = full_toolbox(bench, panel, plan_mode=True)
    view = {"command": "view", "path": "."}
    assert "refused" not in (await tools.call("str_replace_based_edit_tool", view)).text
    assert not (await tools.call("read_logs", {})).is_error
    assert (await tools.call("file_plan", {"plan": " "})).is_error
    assert (await tools.call("bash", {"command": "ls"})).is_error
    assert not (await tools.call("file_plan", {"plan": "mend it"})).is_error
    assert not (await tools.call("bash", {"command": "ls"})).is_error
    (filed,) = [event for event in bench.events if isinstance(event, PlanFiled)]
    assert (filed.plan, filed.session) == ("mend it", 1)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_without_a_plan_the_app_is_only_looked_at(method: str) -> None:
    answers = [AppAnswer(status=200, headers={}, body="", size_bytes=0, duration_s=0.1)] * 3
    bench, panel = Bench(), Panel(answers=list(answers))
    tools = full_toolbox(bench, panel, plan_mode=True)
    refused = await tools.call("http_request", {"method": method, "path": "/x"})
    assert refused.is_error
    assert f"{method} is refused until a plan is filed" in refused.text
    assert panel.asked == []
    for look in ("GET", "HEAD"):
        assert not (await tools.call("http_request", {"method": look, "path": "/x"})).is_error
    await tools.call("file_plan", {"plan": "mend it"})
    assert not (await tools.call("http_request", {"method": method, "path": "/x"})).is_error


async def test_without_a_plan_the_database_is_only_read() -> None:
    rows = Rows(columns=(), rows=(), cut=False, status="SET", duration_s=0.0)
    bench, panel = Bench(), Panel(answers=[rows, rows])
    tools = full_toolbox(bench, panel, plan_mode=True)
    await tools.call("sql", {"query": "DELETE FROM x"})
    await tools.call("file_plan", {"plan": "mend it"})
    await tools.call("sql", {"query": "DELETE FROM x"})
    assert panel.asked == [
        ("DELETE FROM x", 100, 10.0, "read only"),
        ("DELETE FROM x", 100, 10.0),
    ]


async def test_a_plan_counts_for_calls_made_beside_it_but_after_it() -> None:
    bench, panel = Bench(), Panel(answers=[FINE])
    tools = full_toolbox(bench, panel, plan_mode=True)
    before, _, after = await asyncio.gather(
        tools.call("bash", {"command": "early"}),
        tools.call("file_plan", {"plan": "mend it"}),
        tools.call("bash", {"command": "ls"}),
    )
    assert (before.is_error, after.is_error) == (True, False)


# -- approvals -----------------------------------------------------------------------------------


class Person:
    def __init__(self, *decisions: Decision) -> None:
        self.decisions = list(decisions)
        self.asked: list[Any] = []
        self.names: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(self, approval: str, tool: str, arguments: Any) -> Decision:
        self.names.append(approval)
        self.asked.append((tool, arguments))
        await self.may_answer.wait()
        return self.decisions.pop(0)


def watched(bench: Bench, panel: Panel, person: Person | None, *approve: str) -> Toolbox:
    return Toolbox(
        bench.equipment,
        ASSIGNMENT,
        bench,
        instruments=panel.instruments,
        shell=panel,
        approvals=person,
        options=OperatorOptions(approve=approve),
    )


async def test_a_call_that_needs_approval_is_made_when_it_is_granted() -> None:
    bench, person = Bench(), Person(Decision(granted=True))
    tools = watched(bench, Panel(), person, "acknowledge")
    assert not (await tools.call("acknowledge", {"message": "here"})).is_error
    assert person.asked == [("acknowledge", {"message": "here"})]
    asked, answered = bench.events[:2]
    assert isinstance(asked, ApprovalAsked)
    assert (asked.approval, asked.tool) == ("T003-s1-a1", "acknowledge")
    assert asked.arguments == {"message": "here"}
    assert isinstance(answered, ApprovalAnswered)
    assert (answered.approval, answered.granted) == ("T003-s1-a1", True)
    assert bench.happened[2] == "ticket_acknowledged"
    assert person.names == ["T003-s1-a1"]


async def test_a_call_that_ends_before_anybody_answers_is_unanswered_on_record() -> None:
    bench, person = Bench(), Person(Decision(granted=True))
    tools = watched(bench, Panel(), person, "acknowledge")
    person.may_answer.clear()
    calling = asyncio.create_task(tools.call("acknowledge", {"message": "here"}))
    while not person.asked:  # noqa: ASYNC110 - a list rings no bell
        await asyncio.sleep(0)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    person.may_answer.set()
    assert not (await tools.call("acknowledge", {"message": "here"})).is_error
    asked = [event.approval for event in bench.events if isinstance(event, ApprovalAsked)]
    answered = [event for event in bench.events if isinstance(event, ApprovalAnswered)]
    assert person.names == asked == ["T003-s1-a1", "T003-s1-a2"]
    assert [(event.approval, event.granted) for event in answered] == [
        ("T003-s1-a1", False),
        ("T003-s1-a2", True),
    ]
    assert answered[0].reason == "the call ended before anybody answered"


async def test_who_approves_a_deployment_sees_what_it_changes_of_what_runs() -> None:
    bench, person = Bench(trees=["edited"]), Person(Decision(granted=True))
    tools = watched(bench, Panel(), person, "deploy")
    assert not (await tools.call("deploy", {"message": "mend it"})).is_error
    shown = {"message": "mend it", "diff": f"diff {RUNNING} edited\n"}
    assert person.asked == [("deploy", shown)]
    asked = bench.events[0]
    assert isinstance(asked, ApprovalAsked)
    assert asked.arguments == shown
    assert bench.happened[2:] == [
        *("commit", "deployment_requested", "adopt", "export", "deploy"),
        *("deployment_finished", "action_taken"),
    ]


async def test_what_changed_while_a_person_looked_at_it_is_not_deployed() -> None:
    bench, person = Bench(trees=["seen", "swapped"]), Person(Decision(granted=True))
    answer = await watched(bench, Panel(), person, "deploy").call("deploy", {"message": "mend it"})
    assert answer.is_error
    assert "have changed since a person was shown them: nothing was deployed" in answer.text
    assert "adopt" not in bench.happened
    assert bench.deployments == []


async def test_nobody_is_asked_to_approve_files_that_cannot_be_deployed() -> None:
    bench, person = Bench(trees=[None]), Person()
    answer = await watched(bench, Panel(), person, "deploy").call("deploy", {"message": "mend it"})
    assert "cannot be deployed: too large" in answer.text
    assert (person.asked, bench.happened) == ([], ["action_taken"])


def test_a_person_sees_the_beginning_of_every_file_of_a_long_diff() -> None:
    files = [f"diff --git a/{name} b/{name}\n" + "+x\n" * 50_000 for name in ("a.py", "z.py")]
    shown = for_people("".join(files), 10_000)
    assert len(shown) < 10_200
    assert shown.startswith("[2 files; ")
    assert "diff --git a/a.py" in shown
    assert "diff --git a/z.py" in shown
    assert shown.count("[cut: the first") == 2
    many = "".join(f"diff --git a/{n} b/{n}\n" for n in range(10_000))
    assert len(for_people(many, 10_000)) < 10_100
    assert for_people("+x\n" * 10_000, 100).startswith("[1 files; ")
    assert for_people("short", 100) == "short"


# -- how fast ------------------------------------------------------------------------------------

SLOW = Pace(burst=4.9, per_s=1, chars=2_000)


def paced(bench: Bench, **more: Any) -> Toolbox:
    return Toolbox(bench.equipment, ASSIGNMENT, bench, pace=SLOW, **more)


def refusals(bench: Bench) -> list[str]:
    return [event.what for event in bench.events if isinstance(event, AccessRefused)]


async def test_a_flood_of_calls_is_refused_and_is_no_flood_in_the_journal_or_the_trace() -> None:
    bench, trace = Frozen(), Told()
    tools = paced(bench, trace=trace)
    answers = [await tools.call("read_ticket", {}) for _ in range(5_000)]
    assert [answer.is_error for answer in answers] == [False] * 4 + [True] * 4_996
    assert answers[-1].text.startswith("slow down: ")
    assert not answers[-1].ends_session
    assert len(bench.actions) == 4
    assert len(trace.lines) == 9
    assert refusals(bench) == ["1 tool call: too many in too short a time"]
    await tools.close()
    await tools.close()
    assert refusals(bench)[1:] == ["4995 tool calls: too many in too short a time"]
    assert [line[3] for line in trace.lines if line[0] == "remark"] == [
        f"refused, nothing was done: {what}" for what in refusals(bench)
    ]


async def test_whoever_waits_as_long_as_was_said_may_go_on() -> None:
    bench = Frozen()
    tools = paced(bench)
    said = [(await tools.call("read_ticket", {})).text for _ in range(5)][-1]
    wait = re.search(r"wait (\d+) s", said)
    assert wait is not None
    bench.at += int(wait[1])
    assert not (await tools.call("read_ticket", {})).is_error


async def test_refusals_are_summed_up_once_in_a_while() -> None:
    bench = Frozen()
    tools = paced(bench)
    for _ in range(70):
        for _ in range(10):
            await tools.call("read_ticket", {})
        bench.at += 1
    assert len(refusals(bench)) == 2
    await tools.close()
    assert sum(int(what.split()[0]) for what in refusals(bench)) == 700 - len(bench.actions)


async def test_large_calls_count_as_several() -> None:
    bench = Frozen()
    tools = paced(bench)
    first, second = [await tools.call("read_ticket", {"x": "x" * 9_000}) for _ in range(2)]
    assert "no such argument" in first.text
    assert "slow down" in second.text


async def test_what_one_session_does_is_no_other_ones_refusal() -> None:
    bench = Frozen()
    first = paced(bench)
    for _ in range(5):
        await first.call("read_ticket", {})
    assert not (await paced(bench).call("read_ticket", {})).is_error


async def test_no_honest_pace_is_refused() -> None:
    bench = Frozen()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    for _ in range(200):
        answers = await asyncio.gather(*(tools.call("read_ticket", {}) for _ in range(10)))
        assert not any(answer.is_error for answer in answers)
        bench.at += 5
    await tools.close()
    assert refusals(bench) == []


async def test_a_refusal_goes_to_the_operator_with_its_reason_and_nothing_is_done() -> None:
    bench = Bench()
    person = Person(Decision(granted=False, reason="not before lunch"), Decision(granted=False))
    tools = watched(bench, Panel(), person, "deploy")
    answer = await tools.call("deploy", {"message": "mend it"})
    assert answer.text == "deploy: a person refused it: not before lunch. Nothing was done."
    answer = await tools.call("deploy", {"message": "mend it"})
    assert "without a reason" in answer.text
    assert bench.happened == ["approval_asked", "approval_answered", "action_taken"] * 2
    ids = [event.approval for event in bench.events if isinstance(event, ApprovalAsked)]
    assert ids == ["T003-s1-a1", "T003-s1-a2"]


async def test_where_nobody_can_be_asked_the_answer_is_no() -> None:
    bench = Bench()
    answer = await watched(bench, Panel(), None, "deploy").call("deploy", {"message": "x"})
    assert answer.is_error
    assert bench.happened == ["action_taken"]


async def test_a_wrong_call_is_not_shown_to_a_person() -> None:
    bench, person = Bench(), Person()
    assert (await watched(bench, Panel(), person, "deploy").call("deploy", {})).is_error
    assert person.asked == []


async def test_waiting_for_a_person_can_be_cancelled_and_nothing_was_done() -> None:
    bench, person = Bench(), Person()
    person.may_answer.clear()
    (task,) = await started(
        watched(bench, Panel(), person, "deploy").call("deploy", {"message": "x"})
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.happened == ["approval_asked", "approval_answered", "action_taken"]


async def test_while_a_person_looks_at_a_resolve_the_session_can_still_read() -> None:
    bench, panel = Bench(), Panel(answers=[["line"]])
    person = Person(Decision(granted=False, reason="look again"), Decision(granted=True))
    person.may_answer.clear()
    tools = watched(bench, panel, person, "resolve")
    (task,) = await started(tools.call("resolve", {"root_cause": "x"}))
    assert not (await tools.call("read_logs", {})).is_error
    person.may_answer.set()
    assert (await task).is_error
    assert not tools.resolved
    assert (await tools.call("resolve", {"root_cause": "y"})).ends_session
    assert [event.root_cause for event in bench.events if isinstance(event, TicketResolved)] == [
        "y"
    ]
