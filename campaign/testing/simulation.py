"""One life of a controller over a simulated world, on a heap for a clock.

A `World` is what survives a crash; a `Simulation` is one life of the controller over it.
`Simulation.run(lose_after=n)` dies right after journaling the n-th event, before anything that
follows from it was done; with `torn` it dies right before, when the event's effect is already
in the world but not in the journal. Another `Simulation` over the same world and journal takes
up from there.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from campaign.machine import Campaign, fold, step
from campaign.model import (
    ApplyLoad,
    AssertionJudged,
    AssertionResult,
    CampaignStarted,
    CancelGates,
    CancelSession,
    CloseTrial,
    Command,
    CommandFailed,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Evaluated,
    Event,
    Finished,
    GatesFinished,
    GrowData,
    LoadApplied,
    Plan,
    PrepareStack,
    Preparing,
    Resumed,
    RunGates,
    SnapshotTaken,
    StackReady,
    StartSession,
    TakeSnapshot,
)
from campaign.testing.scripts import Happening, Planned, mender
from campaign.testing.world import CALIBRATION, World

#: What an operator does on a ticket.
Script = Callable[["Simulation", StartSession], Sequence[Planned]]


class Crashed(Exception):  # noqa: N818 - it is what happened, not an error of ours
    """The simulated controller died here."""


class Simulation:
    """Events from a heap, through the real core, into commands."""

    def __init__(
        self,
        world: World,
        journal: list[Event],
        *,
        operator: Script = mender,
        seed: int = 0,
        begin_at: float = 0.0,
    ) -> None:
        self.world = world
        self.journal = journal
        self.campaign: Campaign | None = fold(journal)
        self.now = max([begin_at, *(event.at for event in journal[-1:])])
        #: every command that was given, oldest first
        self.commands: list[Command] = []
        #: before that it only catches up with what came to pass while nobody looked
        self._begun = False
        self._operator = operator
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._heap: list[tuple[float, int, Happening]] = []
        self._order = itertools.count()
        #: what the session at work, and the gates at work, are still going to do
        self._session: set[int] = set()
        self._audit: set[int] = set()

    def at(self, delay: float, happening: Happening) -> int:
        """Let something happen after `delay` seconds; gives its number in the heap."""
        number = next(self._order)
        heapq.heappush(self._heap, (self.now + delay, number, happening))
        return number

    def run(
        self, *, lose_after: int | None = None, torn: bool = False, until: float = 100_000.0
    ) -> Campaign:
        """Play to the end of the campaign, or to the time `until`.

        Raises:
            Crashed: the journal holds `lose_after` events (one less when `torn`); their
                consequences are lost.
        """
        self._open()
        while self._heap and not self._is_over():
            self.now, number, happening = heapq.heappop(self._heap)
            if self.now > until:
                break
            self._session.discard(number)
            self._audit.discard(number)
            event = happening(self.now)
            if event is not None:
                self._handle(event, lose_after=lose_after, torn=torn)
        assert self.campaign is not None  # noqa: S101 - _open made it
        return self.campaign

    def _open(self) -> None:
        if self.campaign is None:
            plan = self.world.plan
            self.at(0.0, lambda at: CampaignStarted(at=at, plan=plan))
        else:
            for event in self.unfinished_deployments():
                self.at(0.5, lambda _at, event=event: event)  # type: ignore[misc]
            self.at(1.0, lambda at: Resumed(at=at))
        self.at(1.0, self._tick)

    def unfinished_deployments(self) -> list[DeploymentFinished]:
        """Each requested deployment without an end, as the world knows it to have ended."""
        ended = {e.deployment for e in self.journal if isinstance(e, DeploymentFinished)}
        return [
            DeploymentFinished(
                at=self.now + 0.5,
                trial=event.trial,
                deployment=event.deployment,
                revision=event.revision,
                ok=event.deployment in self.world.deployed,
                reason="" if event.deployment in self.world.deployed else "interrupted",
                duration_s=0.0,
            )
            for event in self.journal
            if isinstance(event, DeploymentRequested) and event.deployment not in ended
        ]

    def _is_over(self) -> bool:
        """What an earlier life stopped is taken up by this one."""
        campaign = self.campaign
        if campaign is None:
            return False
        return (campaign.stopped and self._begun) or isinstance(campaign.phase, Finished)

    def _handle(self, event: Event, *, lose_after: int | None, torn: bool) -> None:
        if torn and lose_after is not None and len(self.journal) + 1 >= lose_after:
            raise Crashed
        self.journal.append(event)
        if lose_after is not None and len(self.journal) >= lose_after:
            raise Crashed
        self.campaign, commands = step(self.campaign, event)
        self._begun = self._begun or isinstance(event, CampaignStarted | Resumed)
        for command in commands if self._begun else ():
            self.commands.append(command)
            self._execute(command)

    def _tick(self, at: float) -> Event | None:
        self.at(1.0 + self._random.uniform(-0.05, 0.05), self._tick)
        campaign = self.campaign
        if campaign is None or campaign.restoring or isinstance(campaign.phase, Preparing):
            return None
        return Evaluated(
            at=at,
            trial=campaign.trial.index,
            samples=self.world.samples(at),
            generator=self.world.generator(at),
        )

    def _execute(self, command: Command) -> None:  # noqa: C901 - one case a command
        jitter = self._random.uniform(0.0, 0.1)
        match command:
            case PrepareStack():
                self.at(2.0 + jitter, lambda at: self._prepared(command, at))
            case TakeSnapshot():
                self.at(1.0 + jitter, lambda at: self._snapshot_taken(command, at))
            case GrowData():
                self.at(1.0 + jitter, lambda at: self._grown(command, at))
            case ApplyLoad():
                self.at(0.2 + jitter, lambda at: self._applied(command, at))
            case StartSession():
                for delay, happening in self._operator(self, command):
                    self._session.add(self.at(delay + jitter, happening))
            case CancelSession():
                self._drop(self._session)
            case RunGates():
                self._audit = set(self._run_gates(command, jitter))
            case CancelGates():
                self._drop(self._audit)
            case CloseTrial():
                self.world.closed.add(command.trial)
            case _ as never:
                assert_never(never)

    def _drop(self, numbers: set[int]) -> None:
        self._heap = [item for item in self._heap if item[1] not in numbers]
        heapq.heapify(self._heap)

    def _run_gates(self, command: RunGates, jitter: float) -> Iterator[int]:
        """Everything the gates find, one after the other, and how they end; as heap numbers."""
        trial, audit = command.trial, command.id
        script = self.world.begin_audit(trial, audit)

        def judged(result: AssertionResult) -> Happening:
            return lambda at: AssertionJudged(at=at, trial=trial, audit=audit, result=result)

        delay = jitter
        for result in script.results:
            delay += result.duration_s
            yield self.at(delay, judged(result))
        if script.breaks is not None:
            yield self.at(delay, lambda at: _broken(at, trial, script.breaks))
        elif not script.hangs:
            yield self.at(delay, lambda at: GatesFinished(at=at, trial=trial, audit=audit))

    def _prepared(self, command: PrepareStack, at: float) -> Event:
        if command.fresh:
            self.world.fresh()
        return StackReady(
            at=at,
            trial=command.trial,
            revision=self.world.revision,
            invariants=self.world.plan.invariants,
            calibration=CALIBRATION,
        )

    def _snapshot_taken(self, command: TakeSnapshot, at: float) -> Event:
        snapshot = self.world.take_snapshot(command.id)
        return SnapshotTaken(at=at, trial=command.trial, snapshot=snapshot)

    def _grown(self, command: GrowData, at: float) -> Event:
        self.world.grow(command.id)
        return DataGrown(at=at, trial=command.trial, rows=10, duration_s=1.0)

    def _applied(self, command: ApplyLoad, at: float) -> Event:
        self.world.apply(command.load, at=at)
        return LoadApplied(at=at, trial=command.trial, load_id=command.id)


def _broken(at: float, trial: int, error: Exception | None) -> CommandFailed:
    return CommandFailed(
        at=at, trial=trial, command="run_gates", component="gates", reason=repr(error)
    )


def simulate(plan: Plan, *, operator: Script = mender, seed: int = 0) -> Campaign:
    """A whole campaign without a crash."""
    return Simulation(World(plan=plan), [], operator=operator, seed=seed).run()
