"""The simulator: the real core against a simulated world, on a heap for a clock.

A `World` is what survives a crash (database, git, supervisor, generator); a `Simulation` is one
life of the controller over it. `Simulation.run(lose_after=n)` dies right after journaling the
n-th event, before anything that follows from it was done; another `Simulation` over the same
world and journal takes up from there.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from campaign.machine import Campaign, fold, step
from campaign.model import (
    ActionTaken,
    ApplyLoad,
    Calibration,
    CampaignStarted,
    CancelSession,
    CloseTrial,
    Command,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Evaluated,
    Event,
    Finished,
    GrowData,
    Invariant,
    LoadApplied,
    LoadDimension,
    LoadVector,
    Plan,
    PrepareStack,
    Preparing,
    Profile,
    Resumed,
    Sample,
    SessionEnded,
    SessionOutcome,
    StackReady,
    StartSession,
    TicketResolved,
)

CALIBRATION = Calibration(healthy_p95_s=0.004, throughput_ratio=1.0, commit_s=0.001, rate_scale=1.0)

#: a violation shows this long after the load that causes it, and is gone this long after a fix
ONSET_S = 3.0
RELIEF_S = 2.0


def make_invariant(name: str) -> Invariant:
    return Invariant(
        id=name,
        title=f"{name} stays low",
        kind="performance",
        unit="ratio",
        value="v",
        limit=0.05,
        samples="s",
        offered="o",
        min_offered=10.0,
        sources=("loadgen",),
    )


def make_profile(name: str, *, breaks: str | None = None, window_s: float = 15.0) -> Profile:
    """A profile that breaks an invariant of its own unless told otherwise."""
    load = (LoadDimension(behaviour=name, users=10, rate_hz=1.0),)
    return Profile(
        id=name,
        title=name,
        category="query",
        symptom=f"{name} is slow",
        anti_patterns=(),
        load=load,
        growth={"rows": 10},
        breaks=(breaks or f"{name}_latency",),
        window_s=window_s,
        ratchet=(LoadDimension(behaviour=name, users=1, rate_hz=0.5),),
    )


def make_plan(count: int = 4, *, mode: str = "continuous", operator: str = "reference") -> Plan:
    profiles = tuple(make_profile(f"p{number}") for number in range(count))
    return Plan(
        campaign="simulated",
        target="simulated",
        mode="isolated" if mode == "isolated" else "continuous",
        operator=operator,
        seed=1,
        profiles=profiles,
        invariants=(
            make_invariant("canary"),
            *(make_invariant(profile.breaks[0]) for profile in profiles),
        ),
        base_load=(LoadDimension(behaviour="base", users=12, rate_hz=0.5),),
    )


@dataclass(slots=True)
class World:
    """What is out there and outlives the controller."""

    plan: Plan
    revision: str = "r0"
    load: LoadVector = ()
    load_since: float = 0.0
    healed_at: float = 0.0
    #: profiles whose anti-pattern is mended, by revision
    mended: dict[str, frozenset[str]] = field(default_factory=lambda: {"r0": frozenset()})
    #: how often each growth really added rows, and each deployment really switched
    grown: dict[str, int] = field(default_factory=dict)
    deployed: dict[str, str] = field(default_factory=dict)
    switches: list[str] = field(default_factory=list)
    #: metrics that cannot be had between two times
    blind: list[tuple[float, float]] = field(default_factory=list)

    def grow(self, growth_id: str) -> None:
        self.grown.setdefault(growth_id, 0)
        if not self.grown[growth_id]:
            self.grown[growth_id] += 1

    def apply(self, load: LoadVector, *, at: float) -> None:
        if load != self.load:
            self.load, self.load_since = load, at

    def deploy(self, deployment: str, revision: str, mends: frozenset[str], *, at: float) -> None:
        if deployment in self.deployed:
            return
        self.mended[revision] = self.mended[self.revision] | mends
        self.revision = revision
        self.deployed[deployment] = revision
        self.switches.append(deployment)
        self.healed_at = at

    def fresh(self) -> None:
        self.revision, self.load, self.grown = "r0", (), {}

    def samples(self, at: float) -> tuple[Sample, ...]:
        if any(start <= at < end for start, end in self.blind):
            return ()
        return tuple(self._sample(invariant, at) for invariant in self.plan.invariants)

    def _sample(self, invariant: Invariant, at: float) -> Sample:
        value = 0.4 if self._is_violated(invariant, at) else 0.0
        return Sample(
            invariant=invariant.id, value=value, samples=40.0, offered=40.0, measured_at=at
        )

    def _is_on(self, profile: Profile) -> bool:
        return all(dimension in self.load for dimension in profile.load)

    def _is_violated(self, invariant: Invariant, at: float) -> bool:
        mended = self.mended[self.revision]
        for profile in self.plan.profiles:
            if invariant.id not in profile.breaks or not self._is_on(profile):
                continue
            if profile.id not in mended:
                return at >= self.load_since + ONSET_S
            if at < self.healed_at + RELIEF_S:
                return True
        return False


#: What a scripted operator does on a ticket: (seconds after the start, what happens).
Script = Callable[["Simulation", StartSession], Sequence[tuple[float, Callable[[float], Event]]]]


def nobody(
    simulation: Simulation, command: StartSession
) -> Sequence[tuple[float, Callable[[float], Event]]]:
    """The `none` operator."""
    del simulation
    return ((0.1, lambda at: _ended(command, at, SessionOutcome.GAVE_UP)),)


def mender(
    simulation: Simulation, command: StartSession
) -> Sequence[tuple[float, Callable[[float], Event]]]:
    """The reference operator: edits, deploys what mends the trial's profile, resolves."""
    profile = simulation.world.plan.profiles[command.trial].id
    return _repair(simulation, command, frozenset({profile}))


def idler(
    simulation: Simulation, command: StartSession
) -> Sequence[tuple[float, Callable[[float], Event]]]:
    """Resolves with a deployment that changes nothing."""
    return _repair(simulation, command, frozenset())


def _repair(
    simulation: Simulation, command: StartSession, mends: frozenset[str]
) -> Sequence[tuple[float, Callable[[float], Event]]]:
    trial, ticket, session = command.trial, command.ticket.id, command.session
    deployment = f"{ticket}-s{session}-d1"
    revision = f"{deployment}-rev"

    def edited(at: float) -> Event:
        return ActionTaken(
            at=at,
            trial=trial,
            ticket=ticket,
            session=session,
            tool="apply_patch",
            arguments={},
            result="",
            is_error=False,
            duration_s=0.1,
            edit=True,
        )

    def requested(at: float) -> Event:
        return DeploymentRequested(
            at=at,
            trial=trial,
            ticket=ticket,
            session=session,
            deployment=deployment,
            revision=revision,
            message="",
        )

    def finished(at: float) -> Event:
        simulation.world.deploy(deployment, revision, mends, at=at)
        return DeploymentFinished(
            at=at,
            trial=trial,
            deployment=deployment,
            revision=revision,
            ok=True,
            reason="",
            duration_s=2.0,
        )

    def resolved(at: float) -> Event:
        return TicketResolved(
            at=at, trial=trial, ticket=ticket, session=session, root_cause="found it"
        )

    return (
        (0.5, edited),
        (1.0, requested),
        (3.0, finished),
        (3.1, resolved),
        (3.2, lambda at: _ended(command, at, SessionOutcome.RESOLVED)),
    )


def _ended(command: StartSession, at: float, outcome: SessionOutcome) -> SessionEnded:
    return SessionEnded(
        at=at,
        trial=command.trial,
        ticket=command.ticket.id,
        session=command.session,
        outcome=outcome,
    )


class Crashed(Exception):  # noqa: N818 - it is what happened, not an error of ours
    """The simulated controller died here."""


class Simulation:
    """One life of a controller: events from a heap, through the real core, into commands."""

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
        self._operator = operator
        self._random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self._heap: list[tuple[float, int, Callable[[float], Event | None]]] = []
        self._order = itertools.count()
        self._session: set[int] = set()

    def at(self, delay: float, happening: Callable[[float], Event | None]) -> int:
        """Let something happen after `delay` seconds; gives its number in the heap."""
        number = next(self._order)
        heapq.heappush(self._heap, (self.now + delay, number, happening))
        return number

    def run(self, *, lose_after: int | None = None, until: float = 100_000.0) -> Campaign:
        """Play to the end of the campaign.

        Raises:
            Crashed: the journal holds `lose_after` events; their consequences are lost.
        """
        self._open()
        while self._heap and not self._is_over():
            self.now, number, happening = heapq.heappop(self._heap)
            if self.now > until:
                break
            self._session.discard(number)
            event = happening(self.now)
            if event is not None:
                self._handle(event, lose_after)
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
        campaign = self.campaign
        return campaign is not None and (campaign.stopped or isinstance(campaign.phase, Finished))

    def _handle(self, event: Event, lose_after: int | None) -> None:
        self.journal.append(event)
        if lose_after is not None and len(self.journal) >= lose_after:
            raise Crashed
        self.campaign, commands = step(self.campaign, event)
        for command in commands:
            self._execute(command)

    def _tick(self, at: float) -> Event | None:
        self.at(1.0 + self._random.uniform(-0.05, 0.05), self._tick)
        campaign = self.campaign
        if campaign is None or campaign.restoring or isinstance(campaign.phase, Preparing):
            return None
        return Evaluated(at=at, trial=campaign.trial.index, samples=self.world.samples(at))

    def _execute(self, command: Command) -> None:
        jitter = self._random.uniform(0.0, 0.1)
        match command:
            case PrepareStack():
                self.at(2.0 + jitter, lambda at: self._prepared(command, at))
            case GrowData():
                self.at(1.0 + jitter, lambda at: self._grown(command, at))
            case ApplyLoad():
                self.at(0.2 + jitter, lambda at: self._applied(command, at))
            case StartSession():
                for delay, happening in self._operator(self, command):
                    self._session.add(self.at(delay + jitter, happening))
            case CancelSession():
                self._heap = [item for item in self._heap if item[1] not in self._session]
                heapq.heapify(self._heap)
            case CloseTrial():
                pass

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

    def _grown(self, command: GrowData, at: float) -> Event:
        self.world.grow(command.id)
        return DataGrown(at=at, trial=command.trial, rows=10, duration_s=1.0)

    def _applied(self, command: ApplyLoad, at: float) -> Event:
        self.world.apply(command.load, at=at)
        return LoadApplied(at=at, trial=command.trial, load_id=command.id)


def simulate(plan: Plan, *, operator: Script = mender, seed: int = 0) -> Campaign:
    """A whole campaign without a crash."""
    return Simulation(World(plan=plan), [], operator=operator, seed=seed).run()
