"""What a toolbox changes the workspace and the app through, and where it reports."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from campaign.model import CommandResult, DeploymentOutcome, Event


class Desk(Protocol):
    """Where a session reports; an event is durable when `record` returns."""

    async def record(self, event: Event) -> None: ...

    def now(self) -> float: ...


class Sandbox(Protocol):
    """Runs commands that see the workspace and nothing of the harness."""

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        """In the workspace's folder; only the end of a long output is kept."""


class Workspace(Protocol):
    """The git working copy; `commit` shows nowhere until the commit is adopted."""

    async def commit(self, message: str, *, at: float) -> str: ...

    async def adopt(self, revision: str) -> None: ...

    async def export(self, revision: str) -> Path: ...

    async def present_tree(self) -> str:
        """Names the present files: another name when they were edited.

        Raises:
            ToolError: they are unfit: too much, or a link to the outside.
        """

    async def diff(self, before: str, after: str) -> str:
        """Unified diff between two trees or revisions; empty when they hold the same."""

    async def running(self) -> str:
        """The revision that serves now."""


class Deployer(Protocol):
    """The way to the supervisor."""

    async def deploy(self, deployment: str, revision: str, source: Path) -> DeploymentOutcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What a toolbox works with; the same for every session of a campaign."""

    sandbox: Sandbox
    workspace: Workspace
    deployer: Deployer
    #: deployments under way; they end on record even when their session does not
    under_way: set[asyncio.Task[DeploymentOutcome]] = field(default_factory=set)
    #: held from a deployment's commit to its end: the next one builds on it
    deploying: asyncio.Lock = field(default_factory=asyncio.Lock)
