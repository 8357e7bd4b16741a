"""The supervisor's state, what can happen to it and what it can do about it. Pure nouns.

Two things run side by side: the *service* (what answers at the public address) and at most one
*rollout* (a deployment under way). Processes and listeners are known by serial numbers; an event
of a process that no longer matters is ignored.

A rollout goes: preparing (dependencies, hash) -> probing (its process has a listener of its own
until it answers) -> handed over. When it cannot get a database connection because the old process
holds them all: clearing (its listener is published already, so clients queue there, and the old
process is drained) -> retrying -> handed over, or the old source is started again.
"""

from dataclasses import dataclass

from campaign.supervisor.wire import DeploymentRequest, ExitRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A deployment that is ready to run."""

    deployment: str
    revision: str
    #: Folder of the source.
    source: str
    source_hash: str
    #: Folder of the Python environment with its dependencies.
    environment: str


# --- the service ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Nothing serves."""

    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A process holds the public listener."""

    release: Release
    process: int
    listener: int
    since: float
    #: It answered its health probe at least once.
    ready: bool
    #: Health probes failed in a row.
    failures: int = 0
    exits: tuple[float, ...] = ()
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackingOff:
    """The process died; it is started again, on the same listener, after a pause."""

    release: Release
    listener: int
    since: float
    exits: tuple[float, ...]
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """It died too often. Only a new deployment gets out of this."""

    release: Release
    listener: int
    since: float
    restarts: int


Service = Idle | Serving | BackingOff | Crashed


# --- the rollout ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """Dependencies are installed and the source is hashed."""

    request: DeploymentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """The new process runs beside the service, on a listener that nobody else knows."""

    release: Release
    process: int
    listener: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """Clients queue at the new listener while the old process is drained."""

    release: Release
    listener: int
    former: Release
    #: The process that is being drained.
    leaving: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """The new process is tried once more, alone."""

    release: Release
    process: int
    listener: int
    former: Release


Rollout = Preparing | Probing | Clearing | Retrying


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The whole state."""

    service: Service
    rollout: Rollout | None = None
    stopping: bool = False
    last_exit: ExitRecord | None = None
    next_process: int = 1
    next_listener: int = 1


# --- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A deployment was asked for while none was under way."""

    at: float
    request: DeploymentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The dependencies are installed: the release can be started."""

    at: float
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Unprepared:
    """The source or its dependencies cannot be used."""

    at: float
    deployment: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One health probe, answered with 200 in time or not."""

    at: float
    process: int
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A new process lives but did not become healthy in time."""

    at: float
    process: int
    reason: str
    starved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """A process ended; ``starved`` when it had complained about database connections."""

    at: float
    process: int
    exit: ExitRecord
    reason: str
    starved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartDue:
    """The pause of `RestartAfter` is over; the numbers are those of the command."""

    at: float
    listener: int
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested:
    """Everything is to end."""

    at: float


Event = Requested | Prepared | Unprepared | Probed | GivenUp | Exited | RestartDue | StopRequested


# --- commands ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Hash the source and install its dependencies."""

    request: DeploymentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Make a fresh listening socket."""

    listener: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlisten:
    """Close a listener that was never published."""

    listener: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Start a process; ``patient`` when it may take as long as a deployment may."""

    process: int
    release: Release
    listener: int
    patient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Make the listener the public address, atomically."""

    listener: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Bring clients that still wait at a superseded listener to the public address.

    ``process`` holds that listener; None when no process does any more.
    """

    listener: int
    process: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Ask a process to finish what it has begun and to end, and end it if it does not."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End a process at once."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartAfter:
    """Report `RestartDue` after a pause."""

    delay_s: float
    listener: int
    restarts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Record and return the result of a deployment; ``reason`` is None when it went well."""

    deployment: str
    reason: str | None
    drained_first: bool = False
    #: The process whose log goes with the result.
    process: int | None = None
    source_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quit:
    """End the supervisor once every process has ended."""


Command = (
    Prepare
    | Listen
    | Unlisten
    | Launch
    | Publish
    | Forward
    | Drain
    | Kill
    | RestartAfter
    | Conclude
    | Quit
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from one event: commands are carried out in order."""

    machine: Machine
    commands: tuple[Command, ...] = ()
