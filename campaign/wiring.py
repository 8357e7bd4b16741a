"""The composition root: which adapter stands behind which port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from operators import Equipment, Repair, ToolError
from operators.external import Seats

from campaign.adapters.deployments import unfinished
from campaign.adapters.workspace import UnfitTreeError
from campaign.model import (
    AssertionResult,
    DeploymentFinished,
    DeploymentOutcome,
    Event,
    LoadVector,
    Plan,
    Profile,
    Snapshot,
)
from campaign.ports import Journal, Observation, PortError, Ports
from campaign.rig import Rig, RigOptions
from campaign.rooms import errands_in
from campaign.runs import RunFolder
from campaign.seats import Register
from campaign.staff import Premises, Staffing, operator_for
from campaign.supervisor.records import DeploymentRecords
from campaign.supervisor.wire import DeploymentResult
from chaos_profiles import Catalogue


class SystemClock:
    """Wall-clock time that never steps back, whatever corrects the machine's clock."""

    def __init__(self) -> None:
        self._latest = 0.0

    def now(self) -> float:
        self._latest = max(self._latest, time.time())
        return self._latest

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RigPorts:
    """The ports that lead to a running stack, by way of its rig."""

    rig: Rig
    #: before the ids of growths and audits: a replay's database remembers those of the campaign
    #: that it was copied from
    mark: str = ""

    async def apply(self, load: LoadVector, *, load_id: str) -> None:
        await self.rig.lines.load.apply(load, load_id=load_id)

    async def observe(self) -> Observation:
        return await self.rig.lines.metrics.observe()

    async def grow(self, profile: Profile, *, growth_id: str) -> int:
        return await self.rig.lines.database.grow(profile, growth_id=f"{self.mark}{growth_id}")

    def audit(self, trial: int, audit: str) -> AsyncIterator[AssertionResult]:
        return self.rig.lines.gates.audit(trial, f"{self.mark}{audit}")

    async def deploy(self, deployment: str, revision: str, source: Path) -> DeploymentOutcome:
        """What the supervisor says, once what it runs is known to be the commit.

        Raises:
            PortError: the supervisor cannot be reached, or runs something else.
        """
        outcome = await self.rig.lines.deployments.deploy(deployment, revision, source)
        if outcome.ok:
            if outcome.source_hash != await self.rig.workspace.source_hash(revision):
                raise PortError("supervisor", f"what it runs as {deployment} is not {revision}")
            self.rig.now_runs(revision)
        return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceTools:
    """The workspace as the toolbox uses it."""

    rig: Rig

    async def commit(self, message: str, *, at: float) -> str:
        try:
            return (await self.rig.workspace.commit_object(message, at=at)).sha
        except UnfitTreeError as error:
            raise ToolError(f"the workspace cannot be deployed: {error}") from error

    async def adopt(self, revision: str) -> None:
        await self.rig.workspace.adopt(revision)

    async def export(self, revision: str) -> Path:
        return await self.rig.export(revision)

    async def present_tree(self) -> str:
        try:
            return await self.rig.workspace.present_tree()
        except UnfitTreeError as error:
            raise ToolError(f"the workspace cannot be read: {error}") from error

    async def diff(self, before: str, after: str) -> str:
        return await self.rig.workspace.diff(before, after)

    async def running(self) -> str:
        return self.rig.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArchive:
    """Implements `ports.Archive` in the run's folder."""

    rig: Rig
    #: deployments that a session of this process still waits for
    under_way: AbstractSet[asyncio.Task[DeploymentOutcome]]
    #: the supervisor's records: its own while it runs, ours to read when it does not
    deployments_file: Path

    async def take_snapshot(self, snapshot: str) -> Snapshot:
        return await self.rig.take_snapshot(snapshot)

    async def close_trial(
        self, trial: int, *, profile: str, revision: str, broken: tuple[str, ...]
    ) -> None:
        if broken:
            self.rig.lines.probes.write_off()
        await self.rig.workspace.tag(f"trial-{trial + 1:02d}-{profile}", revision)

    async def unfinished_deployments(self, events: Sequence[Event]) -> Sequence[DeploymentFinished]:
        if self.under_way:
            await asyncio.wait(self.under_way)
        found = unfinished(events, await self._results(), at=time.time())
        for deployment in found:
            # Journaled before git moved; a crash in between must not leave git behind.
            await self.rig.workspace.adopt(deployment.revision)
        return found

    async def _results(self) -> tuple[DeploymentResult, ...]:
        if self.rig.stack is None:
            return DeploymentRecords(self.deployments_file).results()
        return await self.rig.lines.deployments.results()


async def wire(
    rig: Rig,
    journal: Journal,
    plan: Plan,
    *,
    run: RunFolder,
    catalogue: Catalogue,
    options: RigOptions,
    seats: Seats | None = None,
    repairs: Mapping[int, Repair] | None = None,
) -> Ports:
    """Everything the shell needs.

    Raises:
        UsageError: what the operator needs is missing.
    """
    lines = RigPorts(rig=rig, mark=f"{plan.campaign}-" if plan.mode == "replay" else "")
    equipment = Equipment(
        sandbox=errands_in(rig.workspace.path, confined=options.sandbox),
        workspace=WorkspaceTools(rig=rig),
        deployer=lines,
    )
    staffing = Staffing(plan=plan, catalogue=catalogue, equipment=equipment, repairs=repairs or {})
    premises = Premises(
        run=run,
        rig=rig,
        options=options,
        journal=journal,
        seats=seats or Register(campaign=run.name, url=""),
    )
    return Ports(
        clock=SystemClock(),
        journal=journal,
        stack=rig,
        load=lines,
        metrics=lines,
        database=lines,
        operator=await operator_for(staffing, premises),
        gates=lines,
        archive=RunArchive(
            rig=rig, under_way=equipment.under_way, deployments_file=run.deployment_records
        ),
    )
