"""A toolbox's surroundings, in memory: what was journaled and what was done, in one list."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operators import Answer, Equipment, Toolbox, ToolError
from operators.toolbox.instruments import (
    AppAnswer,
    AppRequest,
    Instruments,
    LogQuery,
    Metric,
    PastDeployment,
    PastTicket,
    Rows,
    Series,
    Shell,
)
from operators.trace.recorder import TurnUsage

from campaign.model import (
    ActionTaken,
    Assignment,
    Budget,
    CommandResult,
    DeploymentFinished,
    DeploymentOutcome,
    Event,
    OperatorOptions,
    Ticket,
)

ASSIGNMENT = Assignment(
    trial=2,
    ticket=Ticket(id="T003", opened_at=90.0, symptoms=(), offered_hz=6.0, users=12),
    session=1,
    budget=Budget(),
)
RUNNING = "fedcba98" * 5
REVISION = "0123456789abcdef" * 2 + "01234567"

FINE = CommandResult(exit_code=0, output="")
REFUSED = CommandResult(exit_code=1, output="error: patch failed: schema.py:58\n")
DEPLOYED = DeploymentOutcome(
    ok=True, reason="", duration_s=2.4, drained_first=False, source_hash="f00"
)


@dataclass(kw_only=True)
class Bench:
    """Sandbox, workspace, deployer and desk; a second passes with each event."""

    #: what the sandbox answers, in this order; then all is well
    answers: list[CommandResult] = field(default_factory=list)
    outcome: DeploymentOutcome = DEPLOYED
    #: instead of an outcome
    failure: Exception | None = None
    unfit: str = ""
    #: a deployment waits for it
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    #: the workspace's trees as they are asked for; the last one stays. None: it is unfit
    trees: list[str | None] = field(default_factory=lambda: ["tree"])
    commands: list[tuple[str, ...]] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    at: float = 100.0
    #: the tree of the last commit
    committed: str = ""

    def __post_init__(self) -> None:
        self.may_finish.set()
        self.equipment = Equipment(sandbox=self, workspace=self, deployer=self)

    async def record(self, event: Event) -> None:
        self.events.append(event)
        self.happened.append(event.kind)
        self.at += 1

    def now(self) -> float:
        return self.at

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        assert stdin
        self.commands.append(argv)
        return self.answers.pop(0) if self.answers else FINE

    async def commit(self, message: str, *, at: float) -> str:
        assert (message, at) == (message, self.at)
        if self.unfit:
            raise ToolError(self.unfit)
        self.happened.append("commit")
        self.committed = await self.present_tree()
        return REVISION

    async def adopt(self, revision: str) -> None:
        assert revision == REVISION
        self.happened.append("adopt")

    async def export(self, revision: str) -> Path:
        assert revision == REVISION
        self.happened.append("export")
        return Path("/deployments") / revision

    async def deploy(self, deployment: str, revision: str, source: Path) -> DeploymentOutcome:
        assert deployment.startswith("T003-s1-d")
        assert source.name == revision == REVISION
        self.happened.append("deploy")
        self.begun.set()
        await self.may_finish.wait()
        if self.failure is not None:
            raise self.failure
        return self.outcome

    async def present_tree(self) -> str:
        tree = self.trees.pop(0) if len(self.trees) > 1 else self.trees[0]
        if tree is None:
            raise ToolError("the workspace cannot be deployed: too large")
        return tree

    async def diff(self, before: str, after: str) -> str:
        after = self.committed if after == REVISION else after
        return "" if before == after else f"diff {before} {after}\n"

    async def running(self) -> str:
        return RUNNING

    @property
    def actions(self) -> list[ActionTaken]:
        return [event for event in self.events if isinstance(event, ActionTaken)]

    @property
    def deployments(self) -> list[DeploymentFinished]:
        return [event for event in self.events if isinstance(event, DeploymentFinished)]


@dataclass(kw_only=True)
class Told:
    """A trace that remembers what it was told: (event, call, tool, the rest)."""

    lines: list[tuple[str, str, str, Any]] = field(default_factory=list)

    def user_message(self, text: str) -> None:
        raise AssertionError(text)

    def thinking(self, text: str, *, model: str) -> None:
        raise AssertionError(text, model)

    def assistant_text(self, text: str, *, model: str) -> None:
        raise AssertionError(text, model)

    def turn(self, usage: TurnUsage) -> None:
        raise AssertionError(usage)

    def broken_off(self, usage: TurnUsage) -> None:
        raise AssertionError(usage)

    def remark(self, text: str) -> None:
        self.lines.append(("remark", "", "", text))

    def tool_use(self, call: str, tool: str, arguments: Mapping[str, Any]) -> None:
        self.lines.append(("use", call, tool, arguments))

    def tool_result(self, call: str, tool: str, answer: Answer, *, duration_s: float) -> None:
        assert duration_s >= 0
        self.lines.append(("result", call, tool, answer))


@dataclass(kw_only=True)
class Panel:
    """All instruments in one: what they were asked, and what they answer (or raise)."""

    answers: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    #: how many are being asked now; an instrument waits for `may_answer`
    asking: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def _answer(self, asked: Any) -> Any:
        self.asked.append(asked)
        self.asking += 1
        self.begun.set()
        try:
            await self.may_answer.wait()
        finally:
            self.asking -= 1
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    # A shell.
    async def run(self, command: str, *, timeout_s: float) -> CommandResult:
        result: CommandResult = await self._answer((command, timeout_s))
        return result

    async def restart(self) -> None:
        self.asked.append("restart")

    # The app.
    async def request(self, request: AppRequest) -> AppAnswer:
        answer: AppAnswer = await self._answer(request)
        return answer

    # The database.
    async def query(
        self, sql: str, *, max_rows: int, timeout_s: float, read_only: bool = False
    ) -> Rows:
        asked = (sql, max_rows, timeout_s)
        rows: Rows = await self._answer((*asked, "read only") if read_only else asked)
        return rows

    # Logs.
    async def read(self, query: LogQuery) -> Sequence[str]:
        lines: Sequence[str] = await self._answer(query)
        return lines

    # Metrics.
    async def list(self) -> Sequence[Metric]:
        metrics: Sequence[Metric] = await self._answer("list")
        return metrics

    async def instant(self, query: str, *, at: float | None) -> Sequence[Series]:
        series: Sequence[Series] = await self._answer((query, at))
        return series

    async def range(
        self, query: str, *, start: float, end: float, step_s: float
    ) -> Sequence[Series]:
        series: Sequence[Series] = await self._answer((query, start, end, step_s))
        return series

    # Records.
    async def deployments(self, *, diffs_of: int | None = None) -> Sequence[PastDeployment]:
        deployments: Sequence[PastDeployment] = await self._answer(("deployments", diffs_of))
        return deployments

    async def tickets(self) -> Sequence[PastTicket]:
        raise AssertionError

    async def notes(self) -> Sequence[str]:
        raise AssertionError

    # Shells.
    def open(self) -> AbstractAsyncContextManager[Shell]:
        raise AssertionError

    def open_to_look(self) -> AbstractAsyncContextManager[Shell | None]:
        raise AssertionError

    @property
    def instruments(self) -> Instruments:
        return Instruments(
            shells=self, app=self, database=self, metrics=self, logs=self, records=self
        )


def full_toolbox(bench: Bench, panel: Panel, **options: Any) -> Toolbox:
    """With every instrument and a shell."""
    return Toolbox(
        bench.equipment,
        ASSIGNMENT,
        bench,
        instruments=panel.instruments,
        shell=panel,
        options=OperatorOptions(**options),
    )
