"""A session of Claude's against the fake Messages API, when nothing misbehaves."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from operators.claude import ClaudeDriver, ClaudeSettings, claude_driver
from operators.toolbox.answer import Answer
from operators.trace.recorder import TurnUsage

from campaign.model import Budget, OperatorOptions, SessionOutcome, Spend
from tests.claude_kit import (
    KEY,
    MODEL,
    PRIOR,
    ROLE,
    TICKET,
    FakeSession,
    HalfAnswer,
    at_work,
    play,
    price,
    results_in,
    texts_in,
)
from tests.fake_messages.counting import CLEARED
from tests.fake_messages.misbehaviour import (
    RESOLVE,
    NeverStops,
    ResolvesAtOnce,
    Script,
    call,
    calls,
    says,
)
from tests.fake_messages.model import Reply, Text, Thinking, ToolUse, Usage
from tests.fake_messages.server import running_fake

LOOK_EDIT_DEPLOY = [
    call("read_ticket"),
    call("sql", query="SELECT * FROM pg_stat_activity"),
    call("str_replace_based_edit_tool", command="view", path="main.py"),
    call("deploy", message="An index on orders(user_id)"),
    RESOLVE,
]


async def test_a_ticket_is_worked_on_by_tools_and_resolved() -> None:
    played = await play(Script(steps=LOOK_EDIT_DEPLOY))
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert played.result.reason == ""
    assert played.session.calls == [
        "read_ticket",
        "sql",
        "str_replace_based_edit_tool",
        "deploy",
        "resolve",
    ]
    assert not played.fake.refused
    [first, *_] = results_in(played.bodies[1])
    assert first["content"] == "read_ticket has answered"
    assert first["is_error"] is False


async def test_the_driver_of_the_options_works_with_a_key_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    session = FakeSession()
    async with running_fake(Script(steps=[RESOLVE]), api_key=KEY) as fake:
        options = OperatorOptions(base_url=fake.base_url, model=MODEL)
        made = claude_driver(options, environment={}, key_file=file, price=price)
        result = await made.drive(session)
    assert result.outcome is SessionOutcome.RESOLVED


async def test_the_first_request_has_the_role_the_prior_state_and_the_ticket() -> None:
    played = await play(Script(steps=[RESOLVE]))
    body = played.bodies[0]
    assert body["system"][0] == {"type": "text", "text": ROLE}
    [message] = body["messages"]
    assert message["role"] == "user"
    assert [block["text"] for block in message["content"]] == [PRIOR, TICKET]
    assert played.session.tape.lines[:2] == [("user", PRIOR), ("user", TICKET)]


async def test_the_request_asks_for_thinking_effort_caching_and_context_editing() -> None:
    session = FakeSession(options=OperatorOptions(effort="high"))
    played = await play(Script(steps=[RESOLVE]), session)
    body = played.bodies[0]
    assert body["stream"] is True
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "high"}
    assert body["cache_control"] == {"type": "ephemeral"}
    [edit] = body["context_management"]["edits"]
    assert edit["type"] == "clear_tool_uses_20250919"
    assert set(edit["exclude_tools"]) == {"read_ticket", "write_note", "deploy"}


async def test_two_tools_are_the_apis_own_and_the_others_come_with_their_schema() -> None:
    played = await play(Script(steps=[RESOLVE]))
    tools = {tool["name"]: tool for tool in played.bodies[0]["tools"]}
    assert tools["bash"] == {"type": "bash_20250124", "name": "bash"}
    assert tools["str_replace_based_edit_tool"] == {
        "type": "text_editor_20250728",
        "name": "str_replace_based_edit_tool",
    }
    # The API's own take no description: it stands in the system prompt instead.
    [_, about] = played.bodies[0]["system"]
    assert "bash: What bash does." in about["text"]
    assert about["cache_control"] == {"type": "ephemeral"}
    assert tools["sql"]["input_schema"] == {"type": "object", "properties": {}}
    assert tools["sql"]["description"] == "What sql does."


async def test_history_only_grows() -> None:
    played = await play(Script(steps=[*LOOK_EDIT_DEPLOY[:-1], says("Done."), RESOLVE]))
    assert played.result.outcome is SessionOutcome.RESOLVED
    histories = [body["messages"] for body in played.bodies]
    for earlier, later in pairwise(histories):
        assert later[: len(earlier)] == earlier
        assert len(later) == len(earlier) + 2
    roles = [message["role"] for message in histories[-1]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


async def test_what_does_not_change_is_read_from_the_cache() -> None:
    played = await play(Script(steps=LOOK_EDIT_DEPLOY))
    reads = [turn.cache_read_tokens or 0 for turn in played.session.tape.turns]
    assert reads[0] == 0
    assert all(later > earlier for earlier, later in pairwise(reads))


async def test_calls_of_one_answer_run_at_the_same_time_and_answer_in_one_message() -> None:
    at_once = calls(
        ToolUse(name="sql", input={"query": "SELECT 1"}),
        ToolUse(name="read_logs", input={}),
        ToolUse(name="read_ticket", input={}),
    )
    session = FakeSession(slow=frozenset({"sql", "read_logs", "read_ticket"}))
    async with at_work(Script(steps=[at_once, RESOLVE]), session) as (fake, work):
        async with asyncio.timeout(10):
            # Only when all three have begun.
            await session.all_running.wait()
        session.may_end.set()
        result = await work
        assert result.outcome is SessionOutcome.RESOLVED
        answered = [block["content"] for block in results_in(fake.bodies[1])]
    assert answered == [
        "sql has answered",
        "read_logs has answered",
        "read_ticket has answered",
    ]


async def test_thinking_and_text_are_on_the_trace_before_the_calls_they_led_to() -> None:
    reply = Reply(
        content=(
            Thinking(thinking="Locks, probably."),
            Text(text="I look at the locks."),
            ToolUse(name="sql", input={"query": "SELECT * FROM pg_locks"}),
        )
    )
    played = await play(Script(steps=[reply, RESOLVE]))
    tape = played.session.tape
    assert tape.kinds[2:7] == ["thinking", "text", "turn", "use", "result"]
    assert tape.of("thinking")[0] == "Locks, probably."
    assert tape.of("text") == ["I look at the locks."]


async def test_tokens_and_money_are_told_after_each_answer() -> None:
    usage = Usage(
        input_tokens=10,
        output_tokens=100,
        cache_read_tokens=1000,
        cache_creation_5m_tokens=200,
        cache_creation_1h_tokens=40,
    )
    look = Reply(content=(ToolUse(name="sql", input={"query": "SELECT 1"}),), usage=usage)
    close = Reply(content=(ToolUse(name="resolve", input={"root_cause": "x"}),), usage=usage)
    played = await play(Script(steps=[look, close]))
    asked, first, _, second = played.session.spends
    # What was asked costs something before there is an answer, and is no turn yet.
    assert (asked.turns, asked.tokens) == (0, 1251)
    assert (first.turns, first.tokens) == (1, 1350)
    assert first.usd == pytest.approx(0.001)
    assert (second.turns, second.tokens) == (2, 2700)
    assert second.usd == pytest.approx(0.002)
    assert played.result.spend == second
    turn = played.session.tape.turns[0]
    assert turn.cache_creation_1h_tokens == 40
    assert turn.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(turns=3), "3 turns are spent"),
        (Budget(tokens=1), "1 tokens are spent"),
        (Budget(usd=0.00001), "0.00 USD are spent"),
    ],
)
async def test_a_model_that_never_stops_ends_with_its_budget(budget: Budget, words: str) -> None:
    played = await play(NeverStops(), FakeSession(budget=budget))
    assert played.result.outcome is SessionOutcome.BUDGET_SPENT
    assert played.result.reason == words
    assert len(played.bodies) == (budget.turns or 1)


async def test_a_ticket_that_is_resolved_without_doing_anything_is_resolved() -> None:
    played = await play(ResolvesAtOnce())
    assert played.result.outcome is SessionOutcome.RESOLVED
    assert played.session.calls == ["resolve"]


async def test_people_are_heard_between_turns_after_the_results() -> None:
    session = FakeSession(said=[(), ("Have a look at the locks.",)])
    played = await play(Script(steps=[call("read_ticket"), RESOLVE]), session)
    kinds = [block["type"] for block in played.bodies[1]["messages"][-1]["content"]]
    assert kinds == ["tool_result", "text"]
    assert "Have a look at the locks." in texts_in(played.bodies[1]["messages"][-1])
    assert any("Have a look at the locks." in text for text in session.tape.of("user"))


async def test_old_results_are_left_out_by_the_provider_and_history_stays() -> None:
    long = Answer(text="a line of a log\n" * 400)
    steps = [call("read_logs") for _ in range(12)]
    seen: list[dict[str, Any]] = []

    def last(request: dict[str, Any]) -> Reply:
        seen.append(request)
        return RESOLVE

    settings = ClaudeSettings(clear_above_tokens=12_000, keep_results=3)
    played = await play(
        Script(steps=[*steps, last]),
        FakeSession(reactions={"read_logs": long}),
        settings=settings,
        context_window=25_000,
    )
    assert played.result.outcome is SessionOutcome.RESOLVED
    contents = [
        block["content"]
        for message in seen[0]["messages"]
        for block in message["content"]
        if block["type"] == "tool_result"
    ]
    assert contents.count(CLEARED) == 9
    assert all(CLEARED not in str(body["messages"]) for body in played.bodies)
    assert any("left out of the prompt" in text for text in played.session.tape.of("remark"))


async def test_a_session_that_is_cancelled_in_an_answer_leaves_what_came() -> None:
    session = FakeSession()
    client = HalfAnswer(text="I begin with the locks, then")
    work = asyncio.create_task(
        ClaudeDriver(connect=lambda: client, model=MODEL, price=price).drive(session)
    )
    async with asyncio.timeout(10):
        await client.said.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert session.tape.of("text") == ["I begin with the locks, then"]
    assert session.tape.of("remark") == ["interrupted while the model was answering"]
    assert set(session.spends) == {Spend(turns=0, tokens=13, usd=3 / 100_000)}
    assert session.tape.broken == [
        TurnUsage(model=MODEL, input_tokens=10, output_tokens=3, latency_s=None)
    ]
    assert client.closed


async def test_what_was_asked_counts_while_the_answer_is_still_coming() -> None:
    session = FakeSession()
    client = HalfAnswer(text="I begin with")
    work = asyncio.create_task(
        ClaudeDriver(connect=lambda: client, model=MODEL, price=price).drive(session)
    )
    async with asyncio.timeout(10):
        await client.said.wait()
    # A process that is killed here leaves it on record.
    assert session.spends == [Spend(turns=0, tokens=13, usd=3 / 100_000)]
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_a_fault_of_the_record_is_none_of_the_providers() -> None:
    class Full(FakeSession):
        async def spent(self, spend: Spend) -> None:
            raise OSError(f"the journal's disk is full: {spend.turns}")

    with pytest.raises(OSError, match="disk is full: 0"):
        await play(Script(steps=[RESOLVE]), Full())


async def test_a_session_that_is_cancelled_in_a_tool_ends_the_tools() -> None:
    session = FakeSession(slow=frozenset({"sql"}))
    async with at_work(Script(steps=[call("sql", query="SELECT 1")]), session) as (_, work):
        async with asyncio.timeout(10):
            await session.all_running.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("claude-")]


async def test_a_fault_of_the_toolbox_is_raised_as_it_is() -> None:
    def breaks(_arguments: object) -> Answer:
        raise OSError("the journal's disk is full")

    session = FakeSession(reactions={"sql": breaks})
    with pytest.raises(OSError, match="disk is full"):
        await play(Script(steps=[call("sql", query="SELECT 1")]), session)
