"""The real `claude` in its sandbox, against the fake Messages API: tools, tokens, cost, outages.

It is looked for as `ratchet` does: $RATCHET_CLAUDE, PATH, then the one that PyPI's
claude-agent-sdk brings along (`pip install --group agents`).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from operators.command import CommandDriver, RunnerError, load_adapter
from operators.trace import TraceWriter

from campaign import sandbox
from campaign.adapters.agents import AgentProcesses
from campaign.adapters.agents.executable import find_executable
from campaign.identity import app_identity
from campaign.model import Budget, OperatorOptions, SessionOutcome, SessionResult
from tests.command_kit import ASSIGNMENT, FakeSession
from tests.fake_messages.model import (
    Block,
    HttpError,
    Misbehaviour,
    Reply,
    Text,
    Thinking,
    ToolUse,
    Usage,
)
from tests.fake_messages.server import FakeMessages, running_fake

KEY = "sk-ant-very-secret-key-000"
MODEL = "claude-sonnet-4-5"
#: US dollars a million tokens: published for that model, by hand and on purpose not our table
INPUT_USD, OUTPUT_USD, READ_USD, WRITE_USD = 3.0, 15.0, 0.3, 3.75


def absent() -> str:
    """Why these tests cannot run; empty: they can."""
    try:
        find_executable(load_adapter("claude-code"))
    except RunnerError as error:
        return str(error)
    return sandbox.unavailable(app_identity()) or ""


if WHY := absent():
    warnings.warn(f"THE REAL claude IS NOT TESTED: {WHY}", stacklevel=1)

pytestmark = pytest.mark.skipif(bool(WHY), reason=f"no real claude: {WHY}")

USAGE = Usage(
    input_tokens=1000, output_tokens=100, cache_read_tokens=40, cache_creation_5m_tokens=8
)


class OnCall:
    """Looks twice, fails once, resolves; each step follows from the results before it."""

    def __init__(self, *, resolves: bool = True) -> None:
        self.resolves = resolves

    def answer(self, request: dict[str, Any]) -> Reply | Misbehaviour:
        tools = [tool["name"] for tool in request.get("tools", ())]
        if "mcp__oncall__bash" not in tools:
            return Reply(content=(Text(text="a title"),))
        return Reply(content=self._next(results(request)), usage=USAGE)

    def _next(self, told: Sequence[str]) -> tuple[Block, ...]:
        match told:
            case []:
                return (
                    Thinking(thinking="where to begin"),
                    Text(text="I look around."),
                    ToolUse(name="mcp__oncall__bash", input={"command": "ls"}),
                    ToolUse(name="mcp__oncall__bash", input={"command": "false"}),
                )
            case ["ran ls", "it failed"] if self.resolves:
                cause = {"root_cause": "a missing index"}
                return (ToolUse(name="mcp__oncall__resolve", input=cause),)
            case ["ran ls", "it failed"]:
                return (Text(text="I cannot find it."),)
            case ["ran ls", "it failed", "resolved"]:
                return (Text(text="It was a missing index."),)
            case _:
                return (Text(text=f"I did not expect {told}"),)


class Refusing:
    """Says the same error again and again."""

    def __init__(self, error: HttpError) -> None:
        self.error = error

    def answer(self, request: dict[str, Any]) -> Reply | Misbehaviour:
        assert request["messages"]
        return self.error


def results(request: Mapping[str, Any]) -> list[str]:
    found = []
    for message in request["messages"]:
        content = message["content"]
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_result":
                inner = block["content"]
                texts = [inner] if isinstance(inner, str) else [part["text"] for part in inner]
                # Claude Code puts reminders of its own below what a tool said.
                found.append(" ".join(texts).partition("\n\n<system-reminder>")[0])
    return found


def session(fake: FakeMessages, **more: Any) -> FakeSession:
    options = OperatorOptions(base_url=fake.base_url, model=MODEL)
    return FakeSession(**({"options": options} | more))


async def drive(on: FakeSession) -> SessionResult:
    """As a campaign does, but with fewer attempts: it would be patient for minutes."""
    adapter = load_adapter("claude-code")
    environment = dict(adapter.environment) | {"CLAUDE_CODE_MAX_RETRIES": "2"}
    adapter = adapter.model_copy(update={"environment": environment})
    runner = AgentProcesses(
        environ={name: os.environ[name] for name in ("PATH",)},
        key_of={"ANTHROPIC_API_KEY": KEY}.get,
    )
    return await CommandDriver(adapter, runner).drive(on)


async def test_it_works_through_our_tools_alone_and_its_trace_adds_up(tmp_path: Path) -> None:
    async with running_fake(OnCall(), api_key=KEY) as fake:
        on = session(fake)
        times = iter(range(1_000, 100_000))
        trace = TraceWriter(
            tmp_path, session_id="T003-s1", source="command", clock=lambda: float(next(times))
        )
        on.trace = trace  # type: ignore[assignment]  # a real recorder instead of the list
        with trace:
            left = await drive(on)
        document = trace.document()

    assert left.outcome is SessionOutcome.RESOLVED, left
    assert fake.refused == []
    main = [body for body in fake.bodies if body.get("tools")]
    assert [tool["name"] for tool in main[0]["tools"]] == [
        "mcp__oncall__bash",
        "mcp__oncall__resolve",
    ]
    assert [(tool, arguments) for tool, arguments, _ in on.calls] == [
        ("bash", {"command": "ls"}),
        ("bash", {"command": "false"}),
        ("resolve", {"root_cause": "a missing index"}),
    ]

    turns = len(main)
    assert turns == 3
    assert document.summary.agent_steps == turns
    assert document.summary.tool_call_count == document.summary.tool_result_count == 3
    assert document.summary.unpaired_tool_calls == 0
    calls = {event.tool_use_id for event in document.events if event.kind == "tool_use"}
    assert calls == {call for _, _, call in on.calls}
    codes = [event.exit_code for event in document.events if event.kind == "tool_result"]
    assert codes == [0, 1, None]
    usage = document.usage
    assert (usage.input_tokens, usage.output_tokens) == (1000 * turns, 100 * turns)
    assert (usage.cache_read_tokens, usage.cache_creation_tokens) == (40 * turns, 8 * turns)
    millionths = 1000 * INPUT_USD + 100 * OUTPUT_USD + 40 * READ_USD + 8 * WRITE_USD
    cost = turns * millionths / 1e6
    assert usage.total_cost_usd == pytest.approx(cost)
    assert usage.pricing_source == "agent-reported"
    assert left.spend.usd == pytest.approx(cost)
    assert left.spend.tokens == 1148 * turns
    assert left.spend.turns == turns
    for written in (trace.path, trace.document_path):
        assert KEY not in written.read_text()


async def test_it_gives_up_with_its_own_last_words() -> None:
    async with running_fake(OnCall(resolves=False), api_key=KEY) as fake:
        left = await drive(session(fake))
    assert left.outcome is SessionOutcome.GAVE_UP
    assert left.reason.endswith("I cannot find it.")


async def test_its_own_limit_of_money_is_a_spent_budget() -> None:
    async with running_fake(OnCall(), api_key=KEY) as fake:
        budget = Budget(usd=0.001)
        left = await drive(session(fake, assignment=replace(ASSIGNMENT, budget=budget)))
    assert left.outcome is SessionOutcome.BUDGET_SPENT, left
    assert left.spend.usd == pytest.approx(0.004542, rel=1e-3)


async def test_a_key_that_is_refused_is_told_within_seconds() -> None:
    async with running_fake(OnCall(), api_key="another") as fake:
        left = await drive(session(fake))
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert left.reason == "the model's API refused the key (401): invalid x-api-key"


async def test_a_provider_without_capacity_leaves_the_ticket_for_later() -> None:
    overloaded = HttpError(status=529, type="overloaded_error", message="Overloaded")
    async with running_fake(Refusing(overloaded), api_key=KEY) as fake:
        left = await drive(session(fake))
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "529" in left.reason


async def test_a_rate_limit_of_an_hour_leaves_the_ticket_for_later() -> None:
    limited = HttpError(
        status=429, type="rate_limit_error", message="rate limited", retry_after_s=3600
    )
    async with running_fake(Refusing(limited), api_key=KEY) as fake:
        left = await drive(session(fake))
    assert left.outcome is SessionOutcome.UNAVAILABLE
    assert "429" in left.reason
