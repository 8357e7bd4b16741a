"""A session of an operator with tools, from its briefing to its end."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import pytest
from operators.agent import over_budget
from operators.briefing import Standing
from operators.claude import ClaudeDriver, ClaudeSettings
from operators.session import Session
from operators.toolbox import ToolError
from operators.toolbox.answer import Answer
from operators.toolbox.instruments import AppAnswer
from operators.trace import TraceLostError

from campaign.model import (
    AccessRefused,
    ActionTaken,
    Budget,
    CommandResult,
    Event,
    OperatorOptions,
    Reading,
    SessionOutcome,
    SessionResult,
    Spend,
    Status,
    Symptom,
    Ticket,
    TicketResolved,
)
from campaign.ports import PortError
from campaign.shell import CampaignOverError
from campaign.staff import OnRecord
from tests.agent_kit import Does, Sessions
from tests.claude_kit import KEY, MODEL, price, texts_in
from tests.fake_messages.misbehaviour import RESOLVE, Script, call, says
from tests.fake_messages.server import FakeMessages, running_fake
from tests.toolbox_kit import ASSIGNMENT, Bench, Panel

ONE = Spend(turns=1, tokens=1_000, usd=0.1)
TWO = Spend(turns=2, tokens=2_500, usd=0.3)


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    # Its clock begins at 100 and goes on a second with each event.
    return Sessions(folder=tmp_path)


# -- what it costs -------------------------------------------------------------------------------


async def test_what_is_spent_is_on_record_as_it_is_spent_and_once(sessions: Sessions) -> None:
    async def work(session: Session) -> None:
        for spend in (Spend(), ONE, ONE, TWO):
            await session.spent(spend)

    result = await sessions.next_does(work)
    assert sessions.house.spends == [ONE, TWO]
    assert result == SessionResult(outcome=SessionOutcome.RESOLVED, spend=TWO)


async def test_turns_that_cost_nothing_known_are_no_flood_on_record(sessions: Sessions) -> None:
    async def work(session: Session) -> None:
        for turn in range(1, 1_001):
            before = sessions.house.bench.at
            await session.spent(Spend(turns=turn))
            sessions.house.bench.at = before + 0.01

    result = await sessions.next_does(work)
    assert result.spend.turns == 1_000
    assert 5 <= len(sessions.house.spends) <= 12


async def test_budgets_know_at_once_what_was_counted_before_it_is_on_record(
    sessions: Sessions,
) -> None:
    sessions.budget = Budget(turns=2)

    async def work(session: Session) -> None:
        session.count(TWO)
        assert session.over_budget() == "turns: 2 of 2"
        assert sessions.house.spends == []
        await session.spent(TWO)

    await sessions.next_does(work)
    assert sessions.house.spends == [TWO]


async def test_the_drivers_last_word_on_what_it_spent_counts(sessions: Sessions) -> None:
    async def work(session: Session) -> SessionResult:
        await session.spent(ONE)
        return SessionResult(outcome=SessionOutcome.GAVE_UP, reason="too hard", spend=TWO)

    result = await sessions.next_does(work)
    assert (result.reason, result.spend) == ("too hard", TWO)


async def test_a_session_knows_when_its_budgets_are_spent(sessions: Sessions) -> None:
    sessions.budget = Budget(turns=2, usd=0.25)
    told: list[str] = []

    async def work(session: Session) -> None:
        for spend in (Spend(), ONE, TWO):
            await session.spent(spend)
            told.append(session.over_budget())
        sessions.house.bench.at += sessions.budget.wall_s
        told.append(session.over_budget())

    await sessions.next_does(work)
    assert told == ["", "", "turns: 2 of 2", "wall time: 1800 s"]


@pytest.mark.parametrize(
    ("budget", "spend", "said"),
    [
        (Budget(), Spend(turns=10**6, tokens=10**9, usd=10**6), ""),
        (Budget(turns=3), Spend(turns=2), ""),
        (Budget(turns=3), Spend(turns=3), "turns: 3 of 3"),
        (Budget(tokens=5_000), Spend(turns=9, tokens=4_999), ""),
        (Budget(tokens=5_000), Spend(turns=9, tokens=5_001), "tokens: 5,001 of 5,000"),
        (Budget(tokens=5_000), Spend(turns=9), "tokens: what was spent of 5,000 is unknown"),
        (Budget(tokens=5_000), Spend(tokens=5_000), "tokens: 5,000 of 5,000"),
        (Budget(tokens=5_000), Spend(), ""),
        (Budget(usd=2), Spend(usd=2.5), "money: $2.50 of $2.00"),
        (Budget(usd=2), Spend(turns=9, usd=1.99), ""),
        (Budget(usd=2), Spend(turns=9, usd=2.004), "money: $2.00 of $2.00"),
        (Budget(usd=2), Spend(), ""),
        (Budget(usd=2), Spend(turns=1), "money: what was spent of $2.00 is unknown"),
    ],
)
def test_which_budget_is_spent_is_said_with_its_amount(
    budget: Budget, spend: Spend, said: str
) -> None:
    assert over_budget(budget, spend, elapsed_s=1_799) == said
    assert over_budget(budget, spend, elapsed_s=1_800) == "wall time: 1800 s"


# -- its trace -----------------------------------------------------------------------------------


async def reads(session: Session) -> None:
    await session.tools.call("read_ticket", {}, call="c1")


async def test_the_toolbox_tells_the_trace_of_calls(sessions: Sessions) -> None:
    await sessions.next_does(reads)
    assert [event.kind for event in sessions.trace.events] == ["tool_use", "tool_result"]
    assert (sessions.trace.source, sessions.trace.session_id) == ("claude", "T003-s1")
    assert sessions.trace.complete


async def test_a_driver_that_tells_of_its_calls_itself_is_not_told_over(
    sessions: Sessions,
) -> None:
    async def work(session: Session) -> None:
        await reads(session)
        session.trace.tool_use("theirs", "read_ticket", {})
        session.trace.tool_result("theirs", "read_ticket", Answer(text="x"), duration_s=0.1)

    await sessions.next_does(work, traces_itself=True)
    assert sessions.trace.summary.tool_call_count == 1
    assert [event.tool for event in actions(sessions.house.bench)] == ["read_ticket"]


async def test_a_secret_is_in_no_trace(sessions: Sessions) -> None:
    sessions.redact = ("sk-secret",)

    async def work(session: Session) -> None:
        session.trace.assistant_text("the key is sk-secret", model="m")

    await sessions.next_does(work)
    for file in (sessions.folder / "traces").iterdir():
        assert "sk-secret" not in file.read_text()


async def test_who_watches_is_told_of_the_session_and_its_trace(sessions: Sessions) -> None:
    sessions.house.said.append(["look at the pool"])
    told: list[Any] = []

    async def work(session: Session) -> None:
        told.extend(await session.messages())
        told.extend(await session.messages())

    await sessions.next_does(work)
    (facts,) = sessions.house.facts
    assert (facts.operator, facts.assignment.session) == ("claude", 1)
    assert facts.trace == sessions.folder / "traces" / "T003-s1.jsonl"
    assert told == ["look at the pool"]


async def test_a_person_who_has_to_approve_is_asked_through_the_seat(sessions: Sessions) -> None:
    sessions.options = OperatorOptions(approve=("deploy",))
    answers: list[Answer] = []

    async def work(session: Session) -> None:
        answers.append(await session.tools.call("deploy", {"message": "mend it"}))

    await sessions.next_does(work)
    assert "a person refused it: not deploy with message, diff" in answers[0].text


@pytest.mark.parametrize("looking", [True, False])
async def test_until_a_plan_is_filed_the_shell_only_looks_if_there_is_one(
    sessions: Sessions, *, looking: bool
) -> None:
    house = sessions.house
    sessions.options = OperatorOptions(plan_mode=True)
    house.looking = Panel(answers=[CommandResult(exit_code=0, output="x\n")]) if looking else None
    house.panel.answers.append(CommandResult(exit_code=0, output="y\n"))
    answers: list[Answer] = []

    async def work(session: Session) -> None:
        for tool, arguments in (
            ("bash", {"command": "ls"}),
            ("file_plan", {"plan": "mend it"}),
            ("bash", {"command": "make"}),
        ):
            answers.append(await session.tools.call(tool, arguments))

    await sessions.next_does(work)
    first, _, last = answers
    if house.looking is not None:
        assert house.looking.asked == [("ls", 60.0)]
        assert first.text == "x\n[exit code 0; /srv/app is read-only until a plan is filed]"
    else:
        assert "bash: refused until a plan is filed" in first.text
    assert house.panel.asked == [("make", 60.0)]
    assert last.text == "y\n[exit code 0]"
    assert sorted(house.lent) == ["instruments", "seat", "shell", "shell to look"]
    assert house.out == []


# -- how it ends ---------------------------------------------------------------------------------


def nothing_is_left(sessions: Sessions) -> bool:
    house = sessions.house
    assert sorted(house.lent) == ["instruments", "seat", "shell"]
    return house.out == [] and sessions.trace.complete


async def test_all_that_was_opened_is_closed_at_the_end(sessions: Sessions) -> None:
    async def work(session: Session) -> None:
        assert sorted(sessions.house.out) == ["instruments", "seat", "shell"]
        await session.tools.call("resolve", {"root_cause": "the pool"})
        assert session.resolved

    await sessions.next_does(work)
    assert nothing_is_left(sessions)
    assert any(isinstance(event, TicketResolved) for event in sessions.house.bench.events)


async def test_all_that_was_opened_is_closed_when_it_is_cancelled(sessions: Sessions) -> None:
    at_work = asyncio.Event()

    async def work(session: Session) -> None:
        await session.spent(ONE)
        sessions.house.panel.may_answer.clear()
        at_work.set()
        await session.tools.call("bash", {"command": "sleep 600"})

    task = asyncio.create_task(sessions.next_does(work))
    await at_work.wait()
    await sessions.house.panel.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert nothing_is_left(sessions)
    assert sessions.house.spends == [ONE]
    (action,) = actions(sessions.house.bench)
    assert action.result == "cancelled before it was done"


async def test_a_driver_that_breaks_has_failed_and_all_that_was_opened_is_closed(
    sessions: Sessions,
) -> None:
    sessions.redact = ("sk-secret-key",)

    async def work(session: Session) -> None:
        session.trace.remark("about to break")
        await session.spent(ONE)
        raise RuntimeError("a defect with sk-secret-key")

    result = await sessions.next_does(work)
    assert result.outcome is SessionOutcome.FAILED
    assert result.reason == "RuntimeError('a defect with [redacted]')"
    assert result.spend == ONE
    assert nothing_is_left(sessions)


# -- what breaks around it is nobody's but the harness's -------------------------------------------


async def raises_on(session: Session) -> None:
    await session.tools.call("read_logs", {})


async def swallows(session: Session) -> None:
    with suppress(OSError):
        await raises_on(session)


async def swallows_and_waits(session: Session) -> None:
    await swallows(session)
    await asyncio.Event().wait()


async def calls_aside(session: Session) -> None:
    task = asyncio.create_task(raises_on(session))
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("work", [raises_on, swallows, swallows_and_waits, calls_aside])
async def test_a_tool_that_breaks_is_never_the_operators_fault_whatever_its_driver_makes_of_it(
    sessions: Sessions, work: Any
) -> None:
    sessions.house.panel.answers.append(OSError("too many open files"))
    with pytest.raises(OSError, match="too many open files"):
        await sessions.next_does(work)
    assert nothing_is_left(sessions)
    sessions.house.panel.answers.append(OSError("too many open files"))
    staffed = OnRecord(operator=sessions.operator(Does(work=work)))
    with pytest.raises(PortError, match="too many open files") as caught:
        await staffed.work(replace(ASSIGNMENT, session=2), sessions.house.bench)
    assert caught.value.component == "ratchet"


async def test_what_an_operator_does_wrong_itself_is_only_an_answer(sessions: Sessions) -> None:
    async def work(session: Session) -> None:
        sessions.house.panel.answers.append(ToolError("no such log"))
        assert (await session.tools.call("read_logs", {})).is_error
        sessions.house.panel.answers.append(PermissionError("not yours"))
        assert (await session.tools.call("read_logs", {})).is_error

    assert (await sessions.next_does(work)).outcome is SessionOutcome.RESOLVED


async def test_instruments_that_cannot_be_opened_are_the_harness_fault(sessions: Sessions) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Any]:
        raise ValueError("no cgroup")
        yield

    sessions.house.instruments = broken  # type: ignore[method-assign]
    staffed = OnRecord(operator=sessions.operator(Does(work=reads)))
    with pytest.raises(PortError, match="no cgroup"):
        await staffed.work(ASSIGNMENT, sessions.house.bench)


async def test_a_campaign_that_is_over_is_said_to_be_over_and_nothing_else(
    sessions: Sessions,
) -> None:
    async def over(_: Event) -> None:
        raise CampaignOverError("stopped")

    sessions.house.bench.record = over  # type: ignore[assignment, method-assign]
    staffed = OnRecord(operator=sessions.operator(Does(work=reads)))
    with pytest.raises(CampaignOverError):
        await staffed.work(ASSIGNMENT, sessions.house.bench)


async def test_calls_that_were_refused_are_on_record_at_the_end(sessions: Sessions) -> None:
    async def work(session: Session) -> None:
        bench = sessions.house.bench
        while not (await session.tools.call("read_ticket", {})).is_error:
            bench.at -= 1
        for _ in range(99):
            bench.at -= 1
            await session.tools.call("read_ticket", {})

    await sessions.next_does(work)
    refused = [e.what for e in sessions.house.bench.events if isinstance(e, AccessRefused)]
    assert sum(int(what.split()[0]) for what in refused) >= 90
    assert len(refused) < 5


# -- a trace that cannot be kept -----------------------------------------------------------------


def fill_the_disk(session: Session) -> None:
    """What the trace writes from now on meets a device that is always full."""
    full = os.open("/dev/full", os.O_WRONLY)
    trace: Any = session.trace
    os.dup2(full, trace._file)
    os.close(full)


async def test_a_full_disk_is_a_fault_of_the_harness_and_never_the_operators(
    sessions: Sessions,
) -> None:
    async def work(session: Session) -> None:
        fill_the_disk(session)
        await session.tools.call("read_ticket", {})

    with pytest.raises(TraceLostError):
        await sessions.next_does(work)
    assert sessions.house.out == []
    staffed = OnRecord(operator=sessions.operator(Does(work=work)))
    with pytest.raises(PortError) as caught:
        await staffed.work(replace(ASSIGNMENT, session=2), sessions.house.bench)
    assert caught.value.component == "traces"
    assert caught.value.reason == "T003-s2.jsonl cannot be written: No space left on device"


async def test_a_trace_that_cannot_even_begin_is_a_fault_of_the_harness(
    sessions: Sessions,
) -> None:
    (sessions.folder / "traces").write_text("a file where the folder should be")
    staffed = OnRecord(operator=sessions.operator(Does(work=reads)))
    with pytest.raises(PortError, match=r"traces: T003-s1\.jsonl cannot be written"):
        await staffed.work(ASSIGNMENT, sessions.house.bench)


async def test_a_session_that_is_cancelled_on_a_full_disk_is_still_cancelled(
    sessions: Sessions,
) -> None:
    at_work = asyncio.Event()

    async def work(session: Session) -> None:
        fill_the_disk(session)
        at_work.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(sessions.next_does(work))
    await at_work.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sessions.house.out == []


# -- what it is told -----------------------------------------------------------------------------


async def test_the_ticket_can_be_read_again_as_it_was_given(sessions: Sessions) -> None:
    async def work(session: Session) -> None:
        answer = await session.tools.call("read_ticket", {})
        assert answer.text.startswith(session.briefing.ticket)
        assert "Ticket T003" in session.briefing.ticket

    await sessions.next_does(work)


@pytest.mark.parametrize("persona", ["baseline", "informed"])
async def test_only_the_informed_are_told_which_metrics_there_are(
    sessions: Sessions, persona: Any
) -> None:
    sessions.options = OperatorOptions(persona=persona)
    informed = persona == "informed"

    async def work(session: Session) -> None:
        assert ("db_pool_size" in session.briefing.role) is informed
        assert session.options.persona == persona

    await sessions.next_does(work)
    assert sessions.house.panel.asked == (["list"] if informed else [])


async def test_metrics_that_cannot_be_listed_are_no_reason_not_to_begin(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(_: Any) -> Any:
        raise ToolError("the metrics cannot be reached")

    monkeypatch.setattr("tests.agent_kit.Metrics.list", refuses)
    sessions.options = OperatorOptions(persona="informed")

    async def work(session: Session) -> None:
        assert "Your tools:" in session.briefing.role
        assert "Metrics that can be asked for" not in session.briefing.role

    assert (await sessions.next_does(work)).outcome is SessionOutcome.RESOLVED


async def test_a_ticket_that_is_read_again_says_how_its_symptoms_stand(sessions: Sessions) -> None:
    symptom = Symptom(
        invariant="history_latency", title="Slow", value=0.4, limit=0.05, since=1.0, unit="ratio"
    )
    reading = Reading(
        invariant="history_latency", status=Status.HELD, limit=0.05, value=0.01, measured_at=2.0
    )

    async def standing(_: Ticket) -> list[Standing]:
        return [Standing(symptom=symptom, reading=reading)]

    sessions.standing = standing

    async def work(session: Session) -> None:
        text = (await session.tools.call("read_ticket", {})).text
        assert text.startswith(session.briefing.ticket)
        assert "How that stands now:\n- history_latency: within bounds, 1 % (limit 5 %)" in text
        assert "How that stands now" not in session.briefing.ticket

    assert (await sessions.next_does(work)).outcome is SessionOutcome.RESOLVED


async def test_requests_are_made_with_the_header_that_the_app_knows_users_by(
    sessions: Sessions,
) -> None:
    sessions.user_header = "X-Account"
    sessions.house.panel.answers.append(
        AppAnswer(status=200, headers={}, body="", size_bytes=0, duration_s=0.1)
    )

    async def work(session: Session) -> None:
        await session.tools.call("http_request", {"method": "GET", "path": "/", "user_id": 7})

    await sessions.next_does(work)
    (asked,) = sessions.house.panel.asked
    assert asked.headers["X-Account"] == "7"


async def test_the_budget_is_told(sessions: Sessions) -> None:
    sessions.budget = Budget(wall_s=600, turns=40)

    async def work(session: Session) -> None:
        assert "10 minutes, 40 turns" in session.briefing.role

    await sessions.next_does(work)


async def leaves_something(session: Session) -> SessionResult:
    await session.tools.call("write_note", {"text": "the export locks the orders table"})
    await session.tools.call("deploy", {"message": "Add the missing index"})
    return SessionResult(outcome=SessionOutcome.GAVE_UP, reason="not yet")


@asynccontextmanager
async def claude(fake: FakeMessages) -> AsyncIterator[ClaudeDriver]:
    async def sleep(_: float) -> None:
        raise AssertionError

    def connect() -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(api_key=KEY, base_url=fake.base_url, max_retries=0)

    yield ClaudeDriver(
        connect=connect,
        model=MODEL,
        price=price,
        secret=KEY,
        settings=ClaudeSettings(),
        sleep=sleep,
        chance=lambda: 1.0,
    )


@pytest.mark.parametrize("memory", ["none", "history", "summary"])
async def test_what_earlier_sessions_left_is_in_the_next_ones_first_request(
    tmp_path: Path, memory: Any
) -> None:
    sessions = Sessions(folder=tmp_path, options=OperatorOptions(memory=memory))
    model = Script(steps=[says("I see."), RESOLVE])
    await sessions.next_does(leaves_something)
    async with running_fake(model, api_key=KEY) as fake, claude(fake) as driver:
        result = await sessions.next(driver)
    assert result.outcome in {SessionOutcome.RESOLVED, SessionOutcome.GAVE_UP}
    first = json.dumps(fake.bodies[0]["system"]) + texts_in(fake.bodies[0]["messages"][0])
    assert "Ticket T003" in first
    assert ("T003: the export locks the orders table" in first) is (memory != "summary")
    assert ("Add the missing index" in first) is (memory != "none")
    assert ("CREATE INDEX on_what_is_sought" in first) is (memory == "history")


async def test_a_whole_session_of_claudes_is_on_record_and_paid_for(tmp_path: Path) -> None:
    sessions = Sessions(folder=tmp_path)
    model = Script(steps=[call("read_ticket"), RESOLVE])
    async with running_fake(model, api_key=KEY) as fake, claude(fake) as driver:
        result = await sessions.next(driver)
    assert result.outcome is SessionOutcome.RESOLVED
    assert result.spend == sessions.house.spends[-1]
    assert result.spend.turns == 2
    assert result.spend.usd is not None
    assert [event.tool for event in actions(sessions.house.bench)] == ["read_ticket", "resolve"]
    assert sessions.trace.summary.agent_steps == 2
    assert sessions.trace.summary.tool_call_count == 2


def actions(bench: Bench) -> list[ActionTaken]:
    return bench.actions
