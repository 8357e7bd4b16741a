"""The one toolbox. Every operator works through it, and every call of it is journaled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from campaign.model import (
    ActionTaken,
    Assignment,
    CommandResult,
    DeploymentFinished,
    DeploymentOutcome,
    DeploymentRequested,
    Event,
    TicketResolved,
)

#: more than this of an argument or a result is not journaled
_JOURNALED_CHARS = 20_000


class ToolError(Exception):
    """A tool says no: the message is for the operator and says what to do."""


class Desk(Protocol):
    """Where a session reports; an event is durable when `record` returns."""

    async def record(self, event: Event) -> None: ...

    def now(self) -> float: ...


class Sandbox(Protocol):
    """Runs commands that see the workspace and nothing of the harness."""

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult: ...


class Workspace(Protocol):
    """The git working copy; `commit` shows nowhere until the commit is adopted."""

    async def commit(self, message: str, *, at: float) -> str: ...

    async def adopt(self, revision: str) -> None: ...

    async def export(self, revision: str) -> Path: ...


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


class Toolbox:
    """The tools of one session on one ticket."""

    def __init__(self, equipment: Equipment, assignment: Assignment, desk: Desk) -> None:
        self._equipment = equipment
        self._assignment = assignment
        self._desk = desk
        self._deployments = 0
        self._resolved = False

    async def apply_patch(self, patch: str) -> str:
        """Change files of the workspace by a unified diff; one already applied is left as it is.

        Raises:
            ToolError: the patch does not apply; it says where.
        """

        async def act() -> str:
            return await self._apply(patch.encode())

        return await self._call("apply_patch", {"patch": patch}, act, edit=True)

    async def deploy(self, message: str) -> str:
        """Commit the workspace and run it; on failure the running revision stays.

        Raises:
            ToolError: the new revision did not come up; it says why, with the last log lines.
        """

        async def act() -> str:
            return await self._deploy(message)

        return await self._call("deploy", {"message": message}, act)

    async def resolve(self, root_cause: str) -> str:
        """Close the ticket with what was wrong. It ends the session: no tool works after it."""

        async def act() -> str:
            await self._desk.record(
                TicketResolved(**self._whose(), at=self._desk.now(), root_cause=root_cause)
            )
            self._resolved = True
            return "resolved; recovery is being checked from outside"

        return await self._call("resolve", {"root_cause": root_cause}, act)

    # -- how ------------------------------------------------------------------------------------

    def _whose(self) -> dict[str, Any]:
        assignment = self._assignment
        return {
            "trial": assignment.trial,
            "ticket": assignment.ticket.id,
            "session": assignment.session,
        }

    async def _call(
        self,
        tool: str,
        arguments: dict[str, str],
        act: Callable[[], Awaitable[str]],
        *,
        edit: bool = False,
    ) -> str:
        """Run a tool and journal the call, whichever way it ends."""
        if self._resolved:
            raise ToolError(f"{tool}: the ticket is resolved, the session is over")
        began = self._desk.now()
        error: Exception | None = None
        result = ""
        try:
            result = await act()
        except Exception as problem:  # noqa: BLE001 - on record first, then raised again
            error, result = problem, str(problem)
        await self._desk.record(
            ActionTaken(
                **self._whose(),
                at=self._desk.now(),
                tool=tool,
                arguments={name: text[:_JOURNALED_CHARS] for name, text in arguments.items()},
                result=result[:_JOURNALED_CHARS],
                is_error=error is not None,
                duration_s=self._desk.now() - began,
                edit=edit and error is None,
            )
        )
        if error is not None:
            raise error
        return result

    async def _apply(self, patch: bytes) -> str:
        run = self._equipment.sandbox.run
        applied = await run(("git", "apply", "--whitespace=nowarn", "-"), stdin=patch)
        if applied.exit_code == 0:
            return "applied"
        undone = await run(("git", "apply", "--reverse", "--check", "-"), stdin=patch)
        if undone.exit_code == 0:
            return "already applied"
        raise ToolError(f"the patch does not apply: {applied.output.strip()}")

    async def _deploy(self, message: str) -> str:
        self._deployments += 1
        whose = self._whose()
        deployment = f"{whose['ticket']}-s{whose['session']}-d{self._deployments}"
        workspace = self._equipment.workspace
        revision = await workspace.commit(message, at=self._desk.now())
        await self._desk.record(
            DeploymentRequested(
                **whose,
                at=self._desk.now(),
                deployment=deployment,
                revision=revision,
                message=message,
            )
        )
        # A session may be cancelled; a deployment that was asked for still ends on record.
        carrying_out = asyncio.create_task(self._carry_out(deployment, revision), name=deployment)
        self._equipment.under_way.add(carrying_out)
        carrying_out.add_done_callback(self._over)
        outcome = await asyncio.shield(carrying_out)
        if not outcome.ok:
            raise ToolError(f"deployment {deployment} failed: {outcome.reason}")
        return f"deployed {revision[:12]} in {outcome.duration_s:.1f} s"

    def _over(self, carried_out: asyncio.Task[DeploymentOutcome]) -> None:
        """A failure is told to the session that waits; when that has left, nobody asks for it."""
        self._equipment.under_way.discard(carried_out)
        if not carried_out.cancelled():
            carried_out.exception()

    async def _carry_out(self, deployment: str, revision: str) -> DeploymentOutcome:
        workspace = self._equipment.workspace
        await workspace.adopt(revision)
        source = await workspace.export(revision)
        outcome = await self._equipment.deployer.deploy(deployment, revision, source)
        await self._desk.record(
            DeploymentFinished(
                at=self._desk.now(),
                trial=self._assignment.trial,
                deployment=deployment,
                revision=revision,
                ok=outcome.ok,
                reason=outcome.reason,
                duration_s=outcome.duration_s,
                drained_first=outcome.drained_first,
                source_hash=outcome.source_hash,
            )
        )
        return outcome
