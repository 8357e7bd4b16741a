"""One session of an operator that works with tools, and who drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from campaign.model import Assignment, OperatorOptions, SessionResult, Spend
from operators.toolbox.answer import Answer
from operators.trace.recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as a model or a person is told of it."""

    name: str
    description: str
    #: JSON Schema of its arguments: an object
    parameters: Mapping[str, Any]


class Tools(Protocol):
    """The toolbox as a driver sees it (`operators.toolbox.Toolbox`)."""

    @property
    def specs(self) -> Sequence[ToolSpec]: ...

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        """Never raises for what the caller did wrong: that is an answer with `is_error`.

        Journals the call and tells the trace of it. `call` names it, unique in the session; empty:
        one is made up.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What the operator is told at the beginning; the same whoever it is."""

    #: who it is, how the service is laid out, what it may do
    role: str
    #: what its earlier sessions left; empty for none
    prior: str
    #: the ticket itself
    ticket: str


class Session(Protocol):
    """What a driver has."""

    @property
    def assignment(self) -> Assignment: ...
    @property
    def options(self) -> OperatorOptions: ...
    @property
    def briefing(self) -> Briefing: ...
    @property
    def tools(self) -> Tools: ...
    @property
    def trace(self) -> Recorder: ...

    def now(self) -> float:
        """Epoch seconds."""

    @property
    def resolved(self) -> bool:
        """The ticket was closed by the `resolve` tool."""

    def count(self, spend: Spend) -> None:
        """What it has cost so far: the budgets know it at once, the record with `spent`."""

    async def spent(self, spend: Spend) -> None:
        """The same, put on record; a session that follows a crash counts it."""

    def over_budget(self) -> str:
        """Which budget is spent (for people); empty: none. Asked before every call of a model."""

    async def messages(self) -> Sequence[str]:
        """What people have said to the session since it was last asked; does not wait."""


class Driver(Protocol):
    """Works on one ticket: a model's loop, an agent's process, a person, a recording."""

    @property
    def traces_itself(self) -> bool:
        """It tells the trace of its tool calls: the toolbox must not do so a second time."""

    async def drive(self, session: Session) -> SessionResult:
        """Until it is resolved or given up; cancellable at any await."""
