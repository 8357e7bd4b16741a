"""A toolbox's surroundings, in memory: what was journaled and what was done, in one list."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from operators import Equipment, ToolError

from campaign.model import (
    ActionTaken,
    Assignment,
    Budget,
    CommandResult,
    DeploymentFinished,
    DeploymentOutcome,
    Event,
    Ticket,
)

ASSIGNMENT = Assignment(
    trial=2,
    ticket=Ticket(id="T003", opened_at=90.0, symptoms=(), offered_hz=6.0, users=12),
    session=1,
    budget=Budget(),
)
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
    commands: list[tuple[str, ...]] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    at: float = 100.0

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

    @property
    def actions(self) -> list[ActionTaken]:
        return [event for event in self.events if isinstance(event, ActionTaken)]

    @property
    def deployments(self) -> list[DeploymentFinished]:
        return [event for event in self.events if isinstance(event, DeploymentFinished)]
