"""Everything that can happen to a campaign. Each event is journaled before it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from campaign.model.gate import AssertionResult
from campaign.model.invariant import GeneratorHealth, Invariant, Sample
from campaign.model.plan import Calibration, Plan
from campaign.model.snapshot import Snapshot
from campaign.model.ticket import SessionOutcome, Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    #: epoch seconds
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrialEvent(_Event):
    #: index of the trial it belongs to; a reply that comes after its trial is ignored
    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _SessionEvent(_TrialEvent):
    ticket: str
    #: counts the sessions on one ticket, from 1 (a crash starts another)
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStarted(_Event):
    """Always the first event."""

    plan: Plan
    kind: Literal["campaign_started"] = "campaign_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReady(_TrialEvent):
    """Every process runs and the app serves; `calibration` once, on the first start."""

    revision: str
    invariants: tuple[Invariant, ...]
    calibration: Calibration
    kind: Literal["stack_ready"] = "stack_ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFailed(_TrialEvent):
    """The stack did not come up; nothing can be played."""

    component: str
    reason: str
    kind: Literal["stack_failed"] = "stack_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(_TrialEvent):
    """One look at Prometheus, each second: also the campaign's clock tick."""

    samples: tuple[Sample, ...] = ()
    generator: GeneratorHealth | None = None
    #: why there is nothing to judge, when there is nothing
    missing: str = ""
    kind: Literal["evaluated"] = "evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken(_TrialEvent):
    """The state that the trial starts in can be gone back to."""

    snapshot: Snapshot
    kind: Literal["snapshot_taken"] = "snapshot_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataGrown(_TrialEvent):
    """The profile's data is in the database."""

    rows: int
    duration_s: float
    kind: Literal["data_grown"] = "data_grown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadApplied(_TrialEvent):
    """The generator offers the load that was asked for under this id."""

    load_id: str
    kind: Literal["load_applied"] = "load_applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed(_TrialEvent):
    """An executor failed; `component` names the part at fault."""

    command: str
    component: str
    reason: str
    kind: Literal["command_failed"] = "command_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentDown(_TrialEvent):
    """A part of the harness ended by itself (never the app: that is the operator's)."""

    component: str
    reason: str
    #: others do its work, and nothing is lost with it: on record, and no fault
    covered: bool = False
    kind: Literal["component_down"] = "component_down"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentUp(_TrialEvent):
    """It runs again."""

    component: str
    kind: Literal["component_up"] = "component_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(_SessionEvent):
    """One tool call of the operator, with its result."""

    tool: str
    arguments: dict[str, Any]
    result: str
    is_error: bool
    duration_s: float
    #: it changed the workspace
    edit: bool = False
    #: how whoever called it names this call; unique within a session
    call: str = ""
    #: of a command; None for other tools
    exit_code: int | None = None
    #: what the call changed in the workspace, as a unified diff
    diff: str = ""
    #: not all of it: it was too long to be kept
    diff_cut: bool = False
    kind: Literal["action_taken"] = "action_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendNoted(_SessionEvent):
    """What the session has cost so far; the newest counts, and the end of the session after it."""

    spend: Spend
    kind: Literal["spend_noted"] = "spend_noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketAcknowledged(_SessionEvent):
    """Somebody is at work on it."""

    message: str = ""
    kind: Literal["ticket_acknowledged"] = "ticket_acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFiled(_SessionEvent):
    """What the operator means to do, before it may (plan mode)."""

    plan: str
    kind: Literal["plan_filed"] = "plan_filed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteWritten(_SessionEvent):
    """The operator's own words for its later sessions."""

    text: str
    kind: Literal["note_written"] = "note_written"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(_SessionEvent):
    """A person said something to the session."""

    text: str
    kind: Literal["message_sent"] = "message_sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAsked(_SessionEvent):
    """A tool's call waits for a person."""

    approval: str
    tool: str
    arguments: dict[str, Any]
    kind: Literal["approval_asked"] = "approval_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAnswered(_SessionEvent):
    """The person's answer; `reason` goes to the operator."""

    approval: str
    granted: bool
    reason: str = ""
    kind: Literal["approval_answered"] = "approval_answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRefused(_SessionEvent):
    """Somebody tried what the boundary forbids; what it was, in words."""

    what: str
    kind: Literal["access_refused"] = "access_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRequested(_SessionEvent):
    """Journaled before the supervisor is asked, so that a crash cannot hide a deployment."""

    deployment: str
    revision: str
    message: str
    kind: Literal["deployment_requested"] = "deployment_requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFinished(_TrialEvent):
    """The supervisor's answer."""

    deployment: str
    revision: str
    ok: bool
    reason: str
    duration_s: float
    drained_first: bool = False
    source_hash: str = ""
    kind: Literal["deployment_finished"] = "deployment_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketResolved(_SessionEvent):
    """The operator says it is done."""

    root_cause: str
    #: what the operator names as the cause's places: files, or file:function
    places: tuple[str, ...] = ()
    kind: Literal["ticket_resolved"] = "ticket_resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(_SessionEvent):
    """The session is over, however it ended."""

    outcome: SessionOutcome
    reason: str = ""
    spend: Spend = field(default_factory=Spend)
    kind: Literal["session_ended"] = "session_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionJudged(_TrialEvent):
    """One assertion of a gate, as soon as it is judged."""

    #: which run of the gates it belongs to (see `RunGates`)
    audit: str
    result: AssertionResult
    kind: Literal["assertion_judged"] = "assertion_judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesFinished(_TrialEvent):
    """Every assertion of this run of the gates was judged, blocked or skipped."""

    audit: str
    kind: Literal["gates_finished"] = "gates_finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRequested(_Event):
    """Hold before the next trial."""

    kind: Literal["pause_requested"] = "pause_requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueRequested(_Event):
    """Go on after a pause."""

    kind: Literal["continue_requested"] = "continue_requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested(_Event):
    """End now, heal the load, keep everything; can be resumed."""

    reason: str = ""
    kind: Literal["stop_requested"] = "stop_requested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(_Event):
    """A new process took the journal up, after a stop or a crash."""

    kind: Literal["resumed"] = "resumed"


Event: TypeAlias = (
    CampaignStarted
    | StackReady
    | StackFailed
    | Evaluated
    | SnapshotTaken
    | DataGrown
    | LoadApplied
    | CommandFailed
    | ComponentDown
    | ComponentUp
    | ActionTaken
    | SpendNoted
    | TicketAcknowledged
    | PlanFiled
    | NoteWritten
    | MessageSent
    | ApprovalAsked
    | ApprovalAnswered
    | AccessRefused
    | DeploymentRequested
    | DeploymentFinished
    | TicketResolved
    | SessionEnded
    | AssertionJudged
    | GatesFinished
    | PauseRequested
    | ContinueRequested
    | StopRequested
    | Resumed
)
