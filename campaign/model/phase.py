"""Where a campaign is. Each phase holds only what it alone needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

#: consecutive violating evaluations by invariant
Streaks: TypeAlias = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """The stack is being started for the trial at hand."""

    since: float
    kind: Literal["preparing"] = "preparing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshotting:
    """The load is off, and the state that the trial starts in is being kept."""

    since: float
    load_id: str
    #: when the load was off and the copying began
    applied_at: float | None = None
    kind: Literal["snapshotting"] = "snapshotting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Base load only; waiting for every invariant to hold."""

    since: float
    load_id: str
    applied_at: float | None = None
    clean_since: float | None = None
    streaks: Streaks = field(default_factory=dict)
    kind: Literal["baseline"] = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """The profile's data is being added."""

    since: float
    kind: Literal["growing"] = "growing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """The profile's load is on; watching for a violation."""

    since: float
    load_id: str
    applied_at: float | None = None
    streaks: Streaks = field(default_factory=dict)
    evaluations: int = 0
    unknown: int = 0
    #: why the last unknown evaluation was unknown, and the part at fault
    doubt: str = ""
    fault: str = ""
    kind: Literal["disturbed"] = "disturbed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairing:
    """A ticket is open and a session works on it; the load stays on."""

    since: float
    #: after a crash: the last one, until the next is started
    session: int
    #: the load that the next session still waits for, after a crash; empty: it is on
    load_id: str = ""
    #: the ticket's wall-time budget ends here
    deadline: float
    clean_since: float | None = None
    #: what else is violated meanwhile belongs to the same incident
    streaks: Streaks = field(default_factory=dict)
    kind: Literal["repairing"] = "repairing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovering:
    """The session is over; every invariant must hold for a clean period."""

    since: float
    clean_since: float | None = None
    #: when an invariant was last seen red
    red_at: float | None = None
    doubt: str = ""
    kind: Literal["recovering"] = "recovering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirming:
    """Back to base load, then full load once more."""

    since: float
    stage: Literal["base", "full"]
    load_id: str
    applied_at: float | None = None
    clean_since: float | None = None
    #: when an invariant was last seen red
    red_at: float | None = None
    streaks: Streaks = field(default_factory=dict)
    doubt: str = ""
    kind: Literal["confirming"] = "confirming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditing:
    """Confirmed; back at base load, where the gates look at the live app from outside."""

    since: float
    #: the run of the gates whose results count
    audit: str
    load_id: str
    #: when the base load was on and the gates began
    applied_at: float | None = None
    #: the last sign of life: the load, or an assertion that was judged
    heard_at: float
    streaks: Streaks = field(default_factory=dict)
    #: correctness invariants that were violated while the gates ran
    broken: tuple[str, ...] = ()
    kind: Literal["auditing"] = "auditing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Healing:
    """The verdict stands; the load goes back to the base before the next trial."""

    since: float
    load_id: str
    #: set while the next trial still waits for a deployment to end
    applied_at: float | None = None
    kind: Literal["healing"] = "healing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """Between two trials, waiting to be told to go on."""

    since: float
    kind: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every trial was played, or the harness gave up (`failure`)."""

    at: float
    failure: str = ""
    kind: Literal["finished"] = "finished"


Phase: TypeAlias = (
    Preparing
    | Snapshotting
    | Baseline
    | Growing
    | Disturbed
    | Repairing
    | Recovering
    | Confirming
    | Auditing
    | Healing
    | Paused
    | Finished
)
