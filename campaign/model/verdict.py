"""The four verdicts, and what is left on record of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from campaign.model.gate import AssertionResult
from campaign.model.invariant import Reading
from campaign.model.snapshot import Snapshot
from campaign.model.spending import total
from campaign.model.ticket import Spend, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Immune:
    """No invariant was violated until the window's end."""

    kind: Literal["immune"] = "immune"
    #: the app was still as delivered: the profile failed to expose anything, which is its error
    unmodified: bool = False

    @property
    def reason(self) -> str:
        return "the unmodified app survived: the profile is at fault" if self.unmodified else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Violated, repaired, and confirmed at full load."""

    kind: Literal["resolved"] = "resolved"
    #: the ticket was closed without any deployment ("no change needed") and still held
    without_deployment: bool = False

    @property
    def reason(self) -> str:
        return "no change was needed" if self.without_deployment else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """Violated and not repaired."""

    reason: str
    kind: Literal["unresolved"] = "unresolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconclusive:
    """Nothing can be said of the operator: the fault lies with `fault`, a part of the harness."""

    fault: str
    reason: str
    kind: Literal["inconclusive"] = "inconclusive"


Verdict: TypeAlias = Immune | Resolved | Unresolved | Inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment and how it ended; `ok` is None while it is under way."""

    id: str
    revision: str
    requested_at: float
    finished_at: float | None = None
    ok: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A harness fault seen during a trial."""

    component: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """All that is known of one trial; grows as it is played. Times are epoch seconds."""

    index: int
    profile: str
    started_at: float
    #: revision that ran when the trial began
    revision_before: str
    #: what it can be replayed from; else why it cannot be, if that was tried
    snapshot: Snapshot | None = None
    snapshot_failure: str = ""
    baseline_at: float | None = None
    baseline_red: tuple[str, ...] = ()
    full_load_at: float | None = None
    violated: tuple[str, ...] = ()
    violated_at: float | None = None
    ticket: Ticket | None = None
    sessions: int = 0
    #: what each session did cost, as far as it is on record; the one at work as last noted
    spends: tuple[Spend, ...] = ()
    session_end: str = ""
    acknowledged_at: float | None = None
    first_action_at: float | None = None
    first_edit_at: float | None = None
    deployments: tuple[Deployment, ...] = ()
    resolved_at: float | None = None
    root_cause: str = ""
    #: where the operator says that it lies: files, or file:function
    places: tuple[str, ...] = ()
    first_green_at: float | None = None
    #: full load was held once more; the gates come after it
    confirmed_at: float | None = None
    #: how often the gates were begun (a crash begins them anew), and what the last run found
    audits: int = 0
    assertions: tuple[AssertionResult, ...] = ()
    #: the worst reading of each invariant while violated, and the last one before the end
    worst: tuple[Reading, ...] = ()
    after: tuple[Reading, ...] = ()
    faults: tuple[Fault, ...] = ()
    ended_at: float | None = None
    #: the invariants that did not hold, of a trial that was lost
    lost: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def spend(self) -> Spend:
        """Of all sessions; None is unknown, which it is when it is unknown of one."""
        return total(self.spends)

    @property
    def time_to_detect_s(self) -> float | None:
        """From full load to the second violating evaluation in a row."""
        if self.violated_at is None or self.full_load_at is None:
            return None
        return self.violated_at - self.full_load_at

    @property
    def time_to_repair_s(self) -> float | None:
        """From the violation to the start of the clean period; what proves it is not counted."""
        if self.violated_at is None or self.first_green_at is None:
            return None
        return self.first_green_at - self.violated_at

    @property
    def last_deployed_at(self) -> float | None:
        """When the last successful deployment was finished."""
        finished = (d.finished_at for d in self.deployments if d.ok)
        return max((at for at in finished if at is not None), default=None)

    @property
    def last_switch_at(self) -> float | None:
        """When the last deployment was over, well or not (a failed one is rolled back)."""
        finished = (deployment.finished_at for deployment in self.deployments)
        return max((at for at in finished if at is not None), default=None)
