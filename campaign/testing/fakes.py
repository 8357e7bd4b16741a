"""The shell's ports, in memory, over a simulated world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from campaign.model import (
    ActionTaken,
    AssertionResult,
    Assignment,
    Calibration,
    DeploymentFinished,
    DeploymentRequested,
    Event,
    LoadVector,
    Plan,
    Profile,
    SessionOutcome,
    SessionResult,
    Snapshot,
    Spend,
    SpendNoted,
    TicketResolved,
)
from campaign.ports import ComponentChange, Desk, Observation, PortError, Ports, Ready
from campaign.testing.virtual import VirtualClock
from campaign.testing.world import CALIBRATION, World

#: how long each part takes in virtual time, seconds
APPEND_S, OBSERVE_S, APPLY_S = 0.001, 0.01, 0.2
GROW_S, PREPARE_S, DEPLOY_S, CLOSE_S, SNAPSHOT_S = 1.0, 2.0, 2.0, 3.0, 1.0


@dataclass(slots=True)
class Faults:
    """What goes wrong: the exception that a part raises, by its name, until it is taken away."""

    raised: dict[str, Exception] = field(default_factory=dict)

    def check(self, part: str) -> None:
        if part in self.raised:
            raise self.raised[part]


@dataclass(slots=True)
class MemoryJournal:
    """A journal that survives its shell, and may refuse an event."""

    events: list[Event] = field(default_factory=list)
    #: refuses to append from this number of events on
    full_at: int | None = None

    async def append(self, event: Event) -> int:
        if self.full_at is not None and len(self.events) >= self.full_at:
            raise PortError("journal", "no space left on device")
        await asyncio.sleep(APPEND_S)
        self.events.append(event)
        return len(self.events)

    async def read(self, *, after: int = 0) -> Sequence[Event]:
        return tuple(self.events[after:])


@dataclass(slots=True)
class FakeStack:
    """Also `Load`, `Metrics`, `Database`, `Gates` and `Archive`: all act on the one world."""

    world: World
    faults: Faults = field(default_factory=Faults)
    #: what was asked of the world, oldest first
    calls: list[str] = field(default_factory=list)
    comings_and_goings: asyncio.Queue[ComponentChange] = field(default_factory=asyncio.Queue)
    clock: VirtualClock = field(default_factory=VirtualClock)

    async def prepare(
        self,
        plan: Plan,
        *,
        trial: int,
        fresh: bool,
        revision: str | None,
        calibration: Calibration | None,
    ) -> Ready:
        del trial
        await self.clock.sleep(PREPARE_S)
        self.faults.check("prepare")
        self.calls.append(f"prepare fresh={fresh} revision={revision}")
        if fresh:
            self.world.fresh()
        return Ready(
            revision=self.world.revision,
            invariants=plan.invariants,
            calibration=calibration or CALIBRATION,
        )

    async def changes(self) -> AsyncIterator[ComponentChange]:
        while True:
            change = await self.comings_and_goings.get()
            self.faults.check("changes")
            yield change

    async def stop(self) -> None:
        self.calls.append("stop")

    async def apply(self, load: LoadVector, *, load_id: str) -> None:
        await self.clock.sleep(APPLY_S)
        self.faults.check("apply")
        self.calls.append(f"apply {load_id}")
        self.world.apply(load, at=self.clock.now())

    async def observe(self) -> Observation:
        await self.clock.sleep(OBSERVE_S)
        self.faults.check("observe")
        at = self.clock.now()
        return Observation(samples=self.world.samples(at), generator=self.world.generator(at))

    async def grow(self, profile: Profile, *, growth_id: str) -> int:
        await self.clock.sleep(GROW_S)
        self.faults.check("grow")
        self.calls.append(f"grow {growth_id}")
        self.world.grow(growth_id)
        return int(profile.growth.get("rows", 0))

    async def audit(self, trial: int, audit: str) -> AsyncIterator[AssertionResult]:
        script = self.world.begin_audit(trial, audit)
        self.faults.check("audit")
        try:
            for result in script.results:
                await self.clock.sleep(result.duration_s)
                yield result
            if script.breaks is not None:
                raise script.breaks
            if script.hangs:
                await asyncio.Event().wait()
        finally:
            self.calls.append(f"audited {audit}")

    async def take_snapshot(self, snapshot: str) -> Snapshot:
        await self.clock.sleep(SNAPSHOT_S)
        self.faults.check("take_snapshot")
        self.calls.append(f"snapshot {snapshot}")
        return self.world.take_snapshot(snapshot)

    async def close_trial(
        self, trial: int, *, profile: str, revision: str, broken: tuple[str, ...]
    ) -> None:
        await self.clock.sleep(CLOSE_S)
        self.faults.check("close_trial")
        self.calls.append(f"close {profile} {revision}")
        self.world.closed.add(trial)
        if broken:
            self.calls.append(f"write off {' '.join(broken)}")

    async def unfinished_deployments(self, events: Sequence[Event]) -> Sequence[DeploymentFinished]:
        self.faults.check("unfinished_deployments")
        ended = {event.deployment for event in events if isinstance(event, DeploymentFinished)}
        return [
            self._ending(event)
            for event in events
            if isinstance(event, DeploymentRequested) and event.deployment not in ended
        ]

    def _ending(self, event: DeploymentRequested) -> DeploymentFinished:
        ok = event.deployment in self.world.deployed
        return DeploymentFinished(
            at=self.clock.now(),
            trial=event.trial,
            deployment=event.deployment,
            revision=event.revision,
            ok=ok,
            reason="" if ok else "interrupted",
            duration_s=DEPLOY_S,
        )


#: What a scripted operator does with its tools.
Work = Callable[["Tools"], Coroutine[Any, Any, SessionResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a session can do, each act journaled as a real toolbox does it."""

    world: World
    assignment: Assignment
    desk: Desk

    async def edit(self) -> None:
        await self.desk.record(
            ActionTaken(
                at=self.desk.now(),
                trial=self.assignment.trial,
                ticket=self.assignment.ticket.id,
                session=self.assignment.session,
                tool="apply_patch",
                arguments={},
                result="",
                is_error=False,
                duration_s=0.1,
                edit=True,
            )
        )

    async def deploy(self, *, mends: frozenset[str], number: int = 1) -> None:
        task = self.assignment
        deployment = f"{task.ticket.id}-s{task.session}-d{number}"
        revision = f"{deployment}-rev"
        await self.desk.record(
            DeploymentRequested(
                at=self.desk.now(),
                trial=task.trial,
                ticket=task.ticket.id,
                session=task.session,
                deployment=deployment,
                revision=revision,
                message="",
            )
        )
        await asyncio.sleep(DEPLOY_S)
        self.world.deploy(deployment, revision, mends, at=self.desk.now())
        await self.desk.record(
            DeploymentFinished(
                at=self.desk.now(),
                trial=task.trial,
                deployment=deployment,
                revision=revision,
                ok=True,
                reason="",
                duration_s=DEPLOY_S,
            )
        )

    async def spend(self, spend: Spend) -> None:
        """What the session has cost so far."""
        await self.desk.record(
            SpendNoted(
                at=self.desk.now(),
                trial=self.assignment.trial,
                ticket=self.assignment.ticket.id,
                session=self.assignment.session,
                spend=spend,
            )
        )

    async def resolve(self) -> None:
        await self.desk.record(
            TicketResolved(
                at=self.desk.now(),
                trial=self.assignment.trial,
                ticket=self.assignment.ticket.id,
                session=self.assignment.session,
                root_cause="found it",
            )
        )


@dataclass(slots=True)
class ScriptedOperator:
    """Works as it is told to."""

    world: World
    does: Work
    assignments: list[Assignment] = field(default_factory=list)

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        self.assignments.append(assignment)
        return await self.does(Tools(world=self.world, assignment=assignment, desk=desk))


async def mend(tools: Tools) -> SessionResult:
    """The reference operator: edits, deploys what mends the trial's profile, resolves."""
    await asyncio.sleep(0.5)
    await tools.edit()
    profile = tools.world.plan.profiles[tools.assignment.trial].id
    await tools.deploy(mends=frozenset({profile}))
    await tools.resolve()
    return SessionResult(outcome=SessionOutcome.RESOLVED)


def fake_ports(stack: FakeStack, journal: MemoryJournal, *, does: Work = mend) -> Ports:
    """Everything a shell needs, over one world."""
    return Ports(
        clock=stack.clock,
        journal=journal,
        stack=stack,
        load=stack,
        metrics=stack,
        database=stack,
        operator=ScriptedOperator(world=stack.world, does=does),
        gates=stack,
        archive=stack,
    )
