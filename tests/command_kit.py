"""A session with a few tools in memory, for drivers of command-line agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operators.session import Briefing, ToolSpec
from operators.toolbox.answer import Answer
from operators.trace.recorder import TurnUsage

from campaign.model import Assignment, Budget, OperatorOptions, Spend, Ticket

ASSIGNMENT = Assignment(
    trial=2,
    ticket=Ticket(id="T003", opened_at=90.0, symptoms=(), offered_hz=6.0, users=12),
    session=1,
    budget=Budget(),
)
BRIEFING = Briefing(
    role="You are on call.", prior="Earlier: nothing.", ticket="T003: the app is slow."
)
SPECS = (
    ToolSpec(
        name="bash",
        description="Runs a command.",
        parameters={
            "type": "object",
            "properties": {"command": {"type": "string"}},
            "required": ["command"],
        },
    ),
    ToolSpec(
        name="resolve",
        description="Closes the ticket.",
        parameters={
            "type": "object",
            "properties": {"root_cause": {"type": "string"}},
            "required": ["root_cause"],
        },
    ),
)


@dataclass(kw_only=True)
class Heard:
    """A `Recorder`: every call of it, as a tuple that begins with its name."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def user_message(self, text: str) -> None:
        self.events.append(("user_message", text))

    def thinking(self, text: str, *, model: str) -> None:
        self.events.append(("thinking", text, model))

    def assistant_text(self, text: str, *, model: str) -> None:
        self.events.append(("assistant_text", text, model))

    def tool_use(self, call: str, tool: str, arguments: Mapping[str, Any]) -> None:
        self.events.append(("tool_use", call, tool, dict(arguments)))

    def tool_result(self, call: str, tool: str, answer: Answer, *, duration_s: float) -> None:
        assert duration_s >= 0
        self.events.append(("tool_result", call, tool, answer))

    def turn(self, usage: TurnUsage) -> None:
        self.events.append(("turn", usage))

    def broken_off(self, usage: TurnUsage) -> None:
        self.events.append(("broken_off", usage))

    def remark(self, text: str) -> None:
        self.events.append(("remark", text))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == kind]

    @property
    def turns(self) -> list[TurnUsage]:
        return [usage for (usage,) in self.of("turn")]

    @property
    def kinds(self) -> list[str]:
        return [event[0] for event in self.events]


@dataclass(kw_only=True)
class FakeSession:
    """A `Session` that is its own `Tools`; `bash` fails where the command is "false"."""

    assignment: Assignment = ASSIGNMENT
    options: OperatorOptions = field(default_factory=OperatorOptions)
    briefing: Briefing = BRIEFING
    specs: Sequence[ToolSpec] = SPECS
    trace: Heard = field(default_factory=Heard)
    resolved: bool = False
    #: what `over_budget` says
    spent_budget: str = ""
    said: list[str] = field(default_factory=list)
    #: what the budgets know of
    counted: list[Spend] = field(default_factory=list)
    #: what is on record
    spends: list[Spend] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)

    @property
    def tools(self) -> FakeSession:
        return self

    def now(self) -> float:
        return 100.0

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        self.calls.append((tool, dict(arguments), call))
        if tool == "resolve":
            self.resolved = True
            return Answer(text="resolved", ends_session=True)
        if arguments.get("command") == "false":
            return Answer(text="it failed", is_error=True, exit_code=1)
        return Answer(text=f"ran {arguments.get('command')}", exit_code=0, diff="--- a\n+++ b\n")

    def count(self, spend: Spend) -> None:
        self.counted.append(spend)

    async def spent(self, spend: Spend) -> None:
        if self.spends[-1:] != [spend]:
            self.spends.append(spend)

    def over_budget(self) -> str:
        return self.spent_budget

    async def messages(self) -> Sequence[str]:
        said, self.said = self.said, []
        return said
