"""What the shell drives. Adapters implement these; only the composition root knows which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from campaign.model import (
    AssertionResult,
    Assignment,
    Calibration,
    DeploymentFinished,
    Event,
    GeneratorHealth,
    Invariant,
    LoadVector,
    Plan,
    Profile,
    Sample,
    SessionResult,
    Snapshot,
)


class PortError(Exception):
    """A part of the harness failed; `component` names it, the message says what and what to do."""

    def __init__(self, component: str, reason: str) -> None:
        super().__init__(f"{component}: {reason}")
        self.component = component
        self.reason = reason


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Epoch seconds; never steps back, even when the system's clock is corrected."""

    async def sleep(self, seconds: float) -> None: ...


class Journal(Protocol):
    """The append-only record. Durable when `append` returns."""

    async def append(self, event: Event) -> int:
        """The event's sequence number, from 1."""

    async def read(self, *, after: int = 0) -> Sequence[Event]:
        """Every event whose sequence number is greater than `after`, oldest first.

        Raises:
            PortError: the chain of hashes is broken.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a stack that serves says of itself."""

    revision: str
    invariants: tuple[Invariant, ...]
    calibration: Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at the metrics."""

    samples: tuple[Sample, ...]
    generator: GeneratorHealth | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentChange:
    """A part of the harness ended by itself, or runs again."""

    component: str
    up: bool
    reason: str = ""
    #: it ended, others do its work, and nothing is lost with it
    covered: bool = False


class Stack(Protocol):
    """The processes a campaign needs."""

    async def prepare(
        self,
        plan: Plan,
        *,
        trial: int,
        fresh: bool,
        revision: str | None,
        calibration: Calibration | None,
    ) -> Ready:
        """Start what does not run, deploy `revision`, calibrate when not given.

        None deploys what `trial` starts with: the unmodified app, unless arranged otherwise.

        Raises:
            PortError: a component did not come up.
        """

    def changes(self) -> AsyncIterator[ComponentChange]:
        """Components that end by themselves, and that come back."""

    async def stop(self) -> None:
        """Leave no process, port or load behind. Safe to call twice."""


class Load(Protocol):
    """The load generator."""

    async def apply(self, load: LoadVector, *, load_id: str) -> None:
        """Replace the whole offered load.

        Raises:
            PortError: the generator cannot be reached or refuses.
        """


class Metrics(Protocol):
    """What is judged."""

    async def observe(self) -> Observation:
        """The newest evaluation of every invariant.

        Raises:
            PortError: Prometheus cannot be reached.
        """


class Database(Protocol):
    """The target app's data."""

    async def grow(self, profile: Profile, *, growth_id: str) -> int:
        """Rows added; a second time under the same id adds nothing.

        Raises:
            PortError: the database refused.
        """


class Desk(Protocol):
    """Where a session reports what it does; every call is an event in the journal."""

    async def record(self, event: Event) -> None:
        """Durable in the journal when it returns."""

    def now(self) -> float: ...


class Operator(Protocol):
    """Whoever resolves tickets."""

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        """Work on one ticket until it is resolved or given up; cancellable at any await."""


class Gates(Protocol):
    """The audit of the live app, from outside."""

    def audit(self, trial: int, audit: str) -> AsyncIterator[AssertionResult]:
        """What each assertion found, as soon as it is found; `audit` is unique in a campaign.

        Each takes `Timings.assertion_s` at the most. Whoever stops listening ends them.

        Raises:
            PortError: the gates cannot be run at all.
        """


class Archive(Protocol):
    """What is kept of a trial beside the journal."""

    async def take_snapshot(self, snapshot: str) -> Snapshot:
        """Keep the database and the ledger as they are now, with the load off.

        A second time under the same id gives the first one.

        Raises:
            PortError: it could not be kept; too little room on the disk, for instance.
        """

    async def close_trial(
        self, trial: int, *, profile: str, revision: str, broken: tuple[str, ...]
    ) -> None:
        """`broken`: the correctness invariants that it leaves violated.

        That damage is on record now. It stays, but is not held against the trials to come.
        """

    async def unfinished_deployments(self, events: Sequence[Event]) -> Sequence[DeploymentFinished]:
        """The outcome of each deployment that the journal saw requested but not finished.

        Waits for one that is still under way; asked after a session and before a resume.

        Raises:
            PortError: nobody can say.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything the shell needs, wired by the composition root."""

    clock: Clock
    journal: Journal
    stack: Stack
    load: Load
    metrics: Metrics
    database: Database
    operator: Operator
    gates: Gates
    archive: Archive
