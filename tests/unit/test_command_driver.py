from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import mcp
import pytest
from operators.command import (
    ApiAnswer,
    CommandDriver,
    Exit,
    Invocation,
    Launch,
    Places,
    RunnerError,
    Tokens,
)
from operators.command.adapter import AgentAdapter, ModelApi
from operators.command.driver import Patience

from campaign.model import Budget, OperatorOptions, SessionOutcome, Spend
from tests.command_kit import ASSIGNMENT, BRIEFING, FakeSession

PLACES = Places(tools_url="http://127.0.0.1:1/mcp", model_url="http://127.0.0.1:2", home="/home/a")
API = ModelApi(base_url="https://api.test", key="K", allow=("POST /v1",), counts="anthropic")
ADAPTER = AgentAdapter(
    title="Mine",
    executable="mine",
    arguments=("--tools", "${tools_url}", ("--model", "${model}"), ("--max", "${max_usd}")),
    stdin="${prompt}",
    output="generic-jsonl",
    model_api=API,
)
SOON = Patience(look_s=0.001, farewell_s=0.0, exit_s=0.5)

Act = Callable[[Launch], None]


@dataclass(kw_only=True)
class FakeAgent:
    """An `AgentRunner` and its process: says its lines, doing what stands between them."""

    script: Sequence[dict[str, Any] | Act] = ()
    code: int = 0
    stderr: str = ""
    #: it never ends by itself
    hangs: bool = False
    refuses: str = ""
    launch: Launch | None = None
    invocation: Invocation | None = None
    patiences: list[float] = field(default_factory=list)
    gone: bool = False

    @asynccontextmanager
    async def run(self, launch: Launch) -> AsyncIterator[FakeAgent]:
        if self.refuses:
            raise RunnerError(self.refuses)
        self.launch = launch
        self.invocation = launch.fill(PLACES)
        self._left = list(self.script)
        try:
            yield self
        finally:
            self.gone = True

    async def line(self) -> str | None:
        assert self.launch is not None
        while self._left:
            step = self._left.pop(0)
            if isinstance(step, dict):
                return json.dumps(step)
            step(self.launch)
        if self.hangs:
            await asyncio.Event().wait()
        return None

    async def end(self, *, patience_s: float = 0.0) -> Exit:
        self.patiences.append(patience_s)
        return Exit(code=self.code, stderr=self.stderr)


def says(text: str, message: str = "m1") -> dict[str, Any]:
    return {"type": "text", "text": text, "message": message}


def answers(status: int, **more: Any) -> Act:
    return lambda launch: launch.answered(ApiAnswer(status=status, **more))


def resolves(session: FakeSession) -> Act:
    def act(_: Launch) -> None:
        session.resolved = True

    return act


async def test_the_agent_is_told_of_everything_by_its_template() -> None:
    agent = FakeAgent()
    budget = Budget(usd=1.5)
    session = FakeSession(assignment=replace(ASSIGNMENT, budget=budget))
    await CommandDriver(ADAPTER, agent, patience=SOON).drive(session)
    prompt = f"{BRIEFING.role}\n\n{BRIEFING.prior}\n\n{BRIEFING.ticket}"
    assert agent.invocation == Invocation(
        arguments=("--tools", "http://127.0.0.1:1/mcp", "--max", "1.5000"), stdin=prompt
    )
    assert session.trace.events[0] == ("user_message", prompt)


async def test_a_resolved_session_is_resolved_and_its_cost_is_known() -> None:
    session = FakeSession()
    result = {"type": "result", "usd": 0.25, "usage": {"input_tokens": 7}}
    agent = FakeAgent(script=[says("done"), resolves(session), result])
    patience = replace(SOON, farewell_s=60.0)
    left = await CommandDriver(ADAPTER, agent, patience=patience).drive(session)
    assert left.outcome is SessionOutcome.RESOLVED
    assert left.spend == session.spends[-1] == Spend(turns=1, tokens=7, usd=0.25)
    assert agent.gone


async def test_an_agent_that_talks_on_after_it_resolved_is_ended() -> None:
    session = FakeSession()
    agent = FakeAgent(script=[resolves(session)], hangs=True, code=-9)
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(session)
    assert left.outcome is SessionOutcome.RESOLVED
    assert agent.patiences == [0.0]


async def test_an_agent_that_says_nothing_is_ended_when_its_budget_is_over() -> None:
    session = FakeSession()

    def spends(_: Launch) -> None:
        session.spent_budget = "30 minutes are over"

    agent = FakeAgent(script=[says("hm"), spends], hangs=True, code=-9)
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(session)
    assert (left.outcome, left.reason) == (SessionOutcome.BUDGET_SPENT, "30 minutes are over")
    assert agent.gone


async def test_no_call_of_the_model_is_let_through_once_a_budget_is_spent() -> None:
    session = FakeSession()
    heard: list[str] = []

    def ask(launch: Launch) -> None:
        heard.append(launch.may_not_call())
        session.spent_budget = "1 US dollar is spent"
        heard.append(launch.may_not_call())

    left = await CommandDriver(ADAPTER, FakeAgent(script=[ask], code=1), patience=SOON).drive(
        session
    )
    assert heard == ["", "1 US dollar is spent"]
    assert left.outcome is SessionOutcome.BUDGET_SPENT


async def test_what_goes_by_the_relay_is_spent_while_the_agent_still_runs() -> None:
    session = FakeSession()
    heard: list[Spend] = []
    seen = answers(200, message="m1", is_turn=True, tokens=Tokens(input=90, output=10))
    agent = FakeAgent(script=[seen, lambda _: heard.append(session.counted[-1]), says("a")])
    await CommandDriver(ADAPTER, agent, patience=SOON).drive(session)
    assert heard == [Spend(turns=1, tokens=100)]
    assert session.spends == [Spend(turns=1, tokens=100)]


async def test_an_agent_that_works_without_a_word_is_held_to_its_budgets() -> None:
    """It may call its model by itself, and write nothing."""

    class OfTwoTurns(FakeSession):
        def over_budget(self) -> str:
            turns = self.counted[-1].turns if self.counted else 0
            return "two turns are spent" if turns >= 2 else ""

    session = OfTwoTurns()
    heard: list[str] = []
    seen = answers(200, is_turn=True, tokens=Tokens(input=1))
    ask: Act = lambda launch: heard.append(launch.may_not_call())  # noqa: E731 - one of a script
    agent = FakeAgent(script=[ask, seen, ask, seen, ask], hangs=True, code=-9)
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(session)
    assert heard == ["", "", "two turns are spent"]
    assert (left.outcome, left.reason) == (SessionOutcome.BUDGET_SPENT, "two turns are spent")
    assert left.spend == session.spends[-1] == Spend(turns=2, tokens=2)


async def test_what_a_silent_agent_spent_is_on_record_before_it_ends() -> None:
    session = FakeSession()
    on_record = asyncio.Event()
    agent = FakeAgent(script=[answers(200, is_turn=True, tokens=Tokens(input=5))], hangs=True)

    class Noted(FakeSession):
        async def spent(self, spend: Spend) -> None:
            if spend.turns:
                on_record.set()

    session = Noted()
    patience = Patience(look_s=3600.0)
    driving = asyncio.create_task(CommandDriver(ADAPTER, agent, patience=patience).drive(session))
    await asyncio.wait_for(on_record.wait(), 10)
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)


async def test_a_key_that_is_refused_again_and_again_ends_the_agent_and_blames_nobody() -> None:
    refusal = answers(401, error="invalid x-api-key")
    agent = FakeAgent(script=[refusal] * 3, hangs=True)
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(FakeSession())
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert left.reason == "the model's API refused the key (401): invalid x-api-key"


async def test_one_refusal_among_good_answers_ends_nothing() -> None:
    script = [answers(401), answers(401), answers(200), answers(401), answers(200)]
    left = await CommandDriver(ADAPTER, FakeAgent(script=script), patience=SOON).drive(
        FakeSession()
    )
    assert left.outcome is SessionOutcome.GAVE_UP


async def test_an_outage_at_the_end_leaves_the_ticket_for_later() -> None:
    agent = FakeAgent(script=[answers(529, error="Overloaded")], code=1)
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(FakeSession())
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "Overloaded" in left.reason


async def test_an_agent_that_cannot_be_started_has_not_failed() -> None:
    agent = FakeAgent(refuses="Mine is not installed")
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(FakeSession())
    assert (left.outcome, left.reason) == (SessionOutcome.UNAVAILABLE, "Mine is not installed")


async def test_a_cancelled_session_leaves_nothing_of_the_agent_behind() -> None:
    at_work = asyncio.Event()
    agent = FakeAgent(script=[says("hm"), lambda _: at_work.set()], hangs=True)
    session = FakeSession()
    driving = asyncio.create_task(CommandDriver(ADAPTER, agent).drive(session))
    await at_work.wait()
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert agent.gone
    assert session.trace.kinds == ["user_message", "assistant_text", "turn"]


async def test_what_the_last_calls_cost_is_on_record_when_a_session_is_cancelled() -> None:
    """The relay counts a call that is cut off when it is closed: after the agent has gone."""
    at_work = asyncio.Event()

    class CutOff(FakeAgent):
        @asynccontextmanager
        async def run(self, launch: Launch) -> AsyncIterator[FakeAgent]:
            try:
                async with super().run(launch) as agent:
                    yield agent
            finally:
                launch.answered(ApiAnswer(status=200, message="m9", tokens=Tokens(input=700)))

    agent = CutOff(script=[lambda _: at_work.set()], hangs=True)
    session = FakeSession()
    driving = asyncio.create_task(CommandDriver(ADAPTER, agent).drive(session))
    await at_work.wait()
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert session.spends[-1].tokens == 700


async def test_a_session_is_cancelled_even_when_its_spend_cannot_be_kept() -> None:
    at_work = asyncio.Event()

    class Over(FakeSession):
        async def spent(self, spend: Spend) -> None:
            if at_work.is_set():
                raise RuntimeError(f"the campaign is over: {spend.turns}")

    agent = FakeAgent(script=[lambda _: at_work.set()], hangs=True)
    patience = Patience(look_s=3600.0)
    driver = CommandDriver(ADAPTER, agent, patience=patience)
    driving = asyncio.create_task(driver.drive(Over()))
    await at_work.wait()
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert agent.gone


async def test_no_call_of_the_model_is_free_after_the_ticket_is_resolved() -> None:
    session = FakeSession()
    heard: list[str] = []

    def ask(launch: Launch) -> None:
        session.spent_budget = "1 US dollar is spent"
        heard.append(launch.may_not_call())

    agent = FakeAgent(script=[resolves(session), ask])
    patience = replace(SOON, farewell_s=60.0)
    left = await CommandDriver(ADAPTER, agent, patience=patience).drive(session)
    assert heard == ["1 US dollar is spent"]
    assert left.outcome is SessionOutcome.RESOLVED


async def test_a_fault_of_the_harness_is_raised_and_never_the_operators() -> None:
    class Broken(FakeSession):
        async def spent(self, spend: Spend) -> None:
            raise OSError(f"the journal is gone: {spend.turns}")

    agent = FakeAgent(script=[says("hm")])
    with pytest.raises(OSError, match="the journal is gone"):
        await CommandDriver(ADAPTER, agent, patience=SOON).drive(Broken())
    assert agent.gone


async def test_a_flood_of_output_ends_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.command.driver._OUTPUT_CHARS", 100)
    agent = FakeAgent(script=[says("x" * 30)] * 50, hangs=True)
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(FakeSession())
    assert left.outcome is SessionOutcome.FAILED
    assert "wrote more than" in left.reason


async def test_a_flood_of_short_lines_ends_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.command.driver._OUTPUT_LINES", 10)
    agent = FakeAgent(script=[{}] * 50, hangs=True)
    left = await CommandDriver(ADAPTER, agent, patience=SOON).drive(FakeSession())
    assert left.outcome is SessionOutcome.FAILED
    assert "10 lines" in left.reason


async def test_others_go_on_while_lines_come_without_an_end() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    await CommandDriver(ADAPTER, FakeAgent(script=[{}] * 5_000), patience=SOON).drive(FakeSession())
    other.cancel()
    assert turns >= 20


async def test_calls_that_a_silent_agent_made_are_in_its_trace() -> None:
    session = FakeSession()

    class Calls(FakeAgent):
        @asynccontextmanager
        async def run(self, launch: Launch) -> AsyncIterator[FakeAgent]:
            tools = launch.serve_tools.__self__  # type: ignore[attr-defined]  # a bound method
            async with mcp.Client(tools.server()) as client:
                await client.call_tool("bash", {"command": "ls"})
            async with super().run(launch) as agent:
                yield agent

    await CommandDriver(ADAPTER, Calls(), patience=SOON).drive(session)
    assert [event[2] for event in session.trace.events if event[0] == "tool_use"] == ["bash"]
    text = ADAPTER.model_copy(update={"output": "text"})
    session = FakeSession()
    await CommandDriver(text, Calls(), patience=SOON).drive(session)
    assert session.trace.of("tool_use") == []


async def test_a_prompt_too_long_for_an_argument_is_told_before_it_fails() -> None:
    adapter = ADAPTER.model_copy(update={"arguments": ("${prompt}", "${tools_url}"), "stdin": ""})
    session = FakeSession(briefing=replace(BRIEFING, prior="x" * (128 << 10)))
    left = await CommandDriver(adapter, FakeAgent(), patience=SOON).drive(session)
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "stdin" in left.reason


async def test_a_provider_that_only_the_sdk_knows_is_refused() -> None:
    session = FakeSession(options=OperatorOptions(provider="bedrock"))
    left = await CommandDriver(ADAPTER, FakeAgent(), patience=SOON).drive(session)
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "bedrock" in left.reason


def test_only_an_agent_of_plain_text_leaves_its_tool_calls_to_the_toolbox() -> None:
    assert CommandDriver(ADAPTER, FakeAgent()).traces_itself
    text = ADAPTER.model_copy(update={"output": "text"})
    assert not CommandDriver(text, FakeAgent()).traces_itself
