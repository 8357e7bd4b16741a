"""What just happened, as one readable line: pure, from an event and the state before and after."""

from __future__ import annotations

from campaign.machine import Campaign
from campaign.model import (
    AccessRefused,
    ActionTaken,
    ApprovalAnswered,
    ApprovalAsked,
    AssertionJudged,
    AssertionResult,
    AssertionState,
    Auditing,
    Baseline,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    Confirming,
    ContinueRequested,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Disturbed,
    Event,
    Finished,
    Growing,
    LoadApplied,
    MessageSent,
    NoteWritten,
    Paused,
    PauseRequested,
    PlanFiled,
    Preparing,
    Reading,
    Recovering,
    Repairing,
    Resumed,
    SessionEnded,
    SnapshotTaken,
    Snapshotting,
    StackReady,
    StopRequested,
    TicketAcknowledged,
    TicketResolved,
    TrialRecord,
    Verdict,
    offered_hz,
    total_users,
)
from reports import words
from reports.summary import verdicts
from reports.trial import verdict_reason
from reports.view import away, failure, phase_name, started_at, trials

_WIDE = 200


def describe(before: Campaign | None, event: Event, after: Campaign) -> str | None:
    """`0:42  violated: …`; None when nothing happened that a reader needs to know."""
    what = _what(before, event, after)
    if what is None:
        return None
    elapsed = words.clock(event.at - started_at(after))
    return f"{elapsed:>7}  {what}"


def _what(before: Campaign | None, event: Event, after: Campaign) -> str | None:
    """What the machine made of it says more than the event alone."""
    if before is None:
        return _started(after)
    if failure(after) and not failure(before):
        return f"the harness gave up: {words.short(failure(after), _WIDE)}"
    if away(after) and not away(before):
        return (
            f"the operator cannot be reached: {words.short(away(after), _WIDE)}; "
            f"stopped with ticket {after.trial.ticket.id if after.trial.ticket else ''} open"
        )
    if after.trial.verdict is not None and before.trial.verdict is None:
        return _judged(after.trial, after)
    if after.trial.index != before.trial.index:
        return _trial_started(after)
    moved = after.phase.kind != before.phase.kind or _is_next_stage(before, after)
    entered = _entered(event, after) if moved else None
    if entered and before.trial.ticket is None and isinstance(after.phase, Recovering):
        return f"{_violated(after)}: no session: {after.trial.session_end}"
    return entered or _event(before, event, after)


def _is_next_stage(before: Campaign, after: Campaign) -> bool:
    """Within `confirming`, from base load to full load."""
    match before.phase, after.phase:
        case Confirming(stage=old), Confirming(stage=new):
            return old != new
        case _:
            return False


def _started(after: Campaign) -> str:
    plan = after.plan
    count = words.plural(len(plan.profiles), "trial")
    return (
        f"campaign {plan.campaign}: {count} of {plan.target}, {plan.mode}, "
        f"operator {plan.operator}; {_trial_started(after)}"
    )


def _trial_started(after: Campaign) -> str:
    return f"{_trial_name(after.trial, after)} started"


def _trial_name(record: TrialRecord, campaign: Campaign) -> str:
    return f"trial {record.index + 1}/{len(campaign.plan.profiles)} {record.profile}"


def _judged(record: TrialRecord, campaign: Campaign) -> str:
    assert record.verdict is not None  # noqa: S101 - its caller looked
    reason = words.short(verdict_reason(record), _WIDE)
    parts = [
        reason,
        _timed("detected in", record.time_to_detect_s),
        _timed("repaired in", record.time_to_repair_s),
        gates_told(record),
        words.plural(len(record.deployments), "deployment") if record.deployments else "",
    ]
    details = ", ".join(part for part in parts if part)
    verdict = f"{_trial_name(record, campaign)}: {verdict_word(record.verdict)}"
    return f"{verdict} ({details})" if details else verdict


def verdict_word(verdict: Verdict) -> str:
    return verdict.kind.upper()


def _timed(what: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{what} {words.duration(seconds)}"


def _entered(event: Event, after: Campaign) -> str | None:  # noqa: C901, PLR0911, PLR0912
    """One case a phase."""
    match after.phase:
        case Preparing():
            return "preparing the stack"
        case Baseline():
            ready = isinstance(event, StackReady)
            running = f"the stack is ready, revision {words.revision(after.revision)}; "
            return f"{running if ready else _kept(event, after)}applying the base load"
        case Snapshotting():
            return "load off; keeping the state that the trial starts in"
        case Growing():
            red = ", ".join(after.trial.baseline_red)
            return f"baseline red: {red}; going on" if red else "baseline green"
        case Disturbed():
            return f"{_grown(event)}applying the full load"
        case Repairing():
            return f"{_violated(after)}, session started"
        case Recovering():
            end = words.short(after.trial.session_end, _WIDE)
            period = words.duration(after.plan.timings.clean_period_s)
            return f"session ended: {end}; waiting for {period} of green"
        case Confirming(stage="base"):
            return f"{_green(after.trial)}; back to base load"
        case Confirming():
            return "green at base load; confirming at full load"
        case Auditing():
            return "confirmed at full load; back to base load for the gates"
        case Paused():
            return "paused before the next trial"
        case Finished():
            return _finished(after)
        case _:
            return None


def _kept(event: Event, after: Campaign) -> str:
    if isinstance(event, SnapshotTaken):
        size = words.quantity(event.snapshot.size_bytes, "bytes")
        return f"{size} kept in {words.duration(event.snapshot.duration_s)}; "
    failed = words.short(after.trial.snapshot_failure, _WIDE)
    return f"it cannot be replayed: {failed}; " if failed else ""


def _grown(event: Event) -> str:
    if not isinstance(event, DataGrown):
        return ""
    rows = words.plural(event.rows, "row")
    return f"data grown: {rows} in {words.duration(event.duration_s)}; "


def _violated(after: Campaign) -> str:
    ticket = after.trial.ticket
    assert ticket is not None  # noqa: S101 - opened just before
    readings = [
        _reading(reading, after)
        for reading in after.readings
        if reading.invariant in after.trial.violated
    ]
    return f"violated {', '.join(readings)}: ticket {ticket.id}"


def _reading(reading: Reading, campaign: Campaign) -> str:
    unit = unit_of(reading.invariant, campaign)
    value, limit = words.quantity(reading.value, unit), words.quantity(reading.limit, unit)
    return f"{reading.invariant} ({value} > {limit})"


def unit_of(invariant: str, campaign: Campaign) -> str:
    return next((inv.unit for inv in campaign.invariants if inv.id == invariant), "count")


def _green(record: TrialRecord) -> str:
    return f"green again, repaired in {words.duration(record.time_to_repair_s)}"


def _finished(after: Campaign) -> str:
    counts = ", ".join(f"{count} {word}" for word, count in verdicts(trials(after)).items())
    return f"campaign finished: {counts}"


def _event(before: Campaign, event: Event, after: Campaign) -> str | None:
    match event:
        case LoadApplied():
            return _load_applied(before, event, after)
        case ActionTaken():
            return _action(event)
        case DeploymentRequested():
            message = words.short(event.message, _WIDE)
            revision = words.revision(event.revision)
            return f"deployment of {revision} requested{f': {message}' if message else ''}"
        case DeploymentFinished():
            return _deployed(event)
        case TicketResolved():
            cause = words.short(event.root_cause, _WIDE)
            places = f" (in {words.short(', '.join(event.places), 120)})" if event.places else ""
            return f"{event.ticket} resolved: {cause or 'no root cause stated'}{places}"
        case SessionEnded():
            return f"session {event.session} on {event.ticket} ended: {event.outcome.value}"
        case AssertionJudged() if len(after.trial.assertions) > len(before.trial.assertions):
            return _asserted(event.result)
        case _:
            return _said(event) or _harness(before, event, after)


def _said(event: Event) -> str | None:
    """What goes on between the operator and people, and what it was refused."""
    match event:
        case TicketAcknowledged():
            return f"{event.ticket} acknowledged{_colon(event.message)}"
        case PlanFiled():
            return f"{event.ticket} plan filed{_colon(event.plan)}"
        case NoteWritten():
            return f"{event.ticket} note written{_colon(event.text)}"
        case MessageSent():
            return f"{event.ticket} told by a person{_colon(event.text)}"
        case ApprovalAsked():
            call = words.call(event.arguments, width=100, each=60)
            return f"{event.ticket} waits for approval of {words.short(event.tool, 40)}({call})"
        case ApprovalAnswered():
            answer = "approved" if event.granted else "not approved"
            return f"{event.ticket} {answer} by a person{_colon(event.reason)}"
        case AccessRefused():
            return f"{event.ticket} tried what it may not: {words.short(event.what, _WIDE)}"
        case _:
            return None


def _colon(text: str) -> str:
    told = words.short(text, _WIDE)
    return f": {told}" if told else ""


def _harness(before: Campaign, event: Event, after: Campaign) -> str | None:
    match event:
        case ComponentDown(covered=True):
            return f"{event.component} goes on: {words.short(event.reason, _WIDE)}"
        case ComponentDown():
            return f"{event.component} went down: {words.short(event.reason, _WIDE)}"
        case ComponentUp():
            return f"{event.component} is up again"
        case CommandFailed():
            reason = words.short(event.reason, _WIDE)
            return f"{event.command} failed: {event.component}: {reason}"
        case PauseRequested():
            return "will pause before the next trial"
        case ContinueRequested():
            return "going on"
        case StopRequested() if after.stopped and not before.stopped:
            reason = words.short(event.reason, _WIDE)
            return f"stopped{f': {reason}' if reason else ''}; healing the load"
        case Resumed():
            return "resumed: bringing the stack back"
        case StackReady() if before.restoring:
            return f"the stack is back: going on with {phase_name(after)}"
        case _:
            return None


def _load_applied(before: Campaign, event: LoadApplied, after: Campaign) -> str | None:
    """Only what the phase at hand waited for."""
    match before.phase, after.phase:
        case Repairing(session=old), Repairing(session=new) if old != new:
            return f"the load is back: session {new} started"
        case (Baseline() | Disturbed() | Confirming() | Auditing()) as old, new if old != new:
            load = before.load
            name = "full load" if event.load_id.endswith("full") else "base load"
            users = words.plural(total_users(load), "user")
            return f"{name} applied: {words.rate(offered_hz(load))} from {users}"
        case _:
            return None


def _asserted(result: AssertionResult) -> str | None:
    """Only what did not pass: there are many, and their sum is told with the verdict."""
    if result.state is AssertionState.PASS:
        return None
    message = words.short(result.message, _WIDE)
    return f"{result.gate} gate: {words.short(result.name, 60)}: {result.state}: {message}"


def gates_told(record: TrialRecord) -> str:
    """`21 of 24 assertions passed`; empty before the gates."""
    passed = sum(result.state is AssertionState.PASS for result in record.assertions)
    total = words.plural(len(record.assertions), "assertion")
    return f"{passed} of {total} passed" if record.assertions else ""


def _action(event: ActionTaken) -> str:
    arguments = words.call(event.arguments, width=100, each=60)
    took = words.duration(event.duration_s)
    failed = f" failed: {words.short(event.result, 80)}" if event.is_error else ""
    return f"{event.ticket} {words.short(event.tool, 40)}({arguments}) {took}{failed}"


def _deployed(event: DeploymentFinished) -> str:
    took = words.duration(event.duration_s)
    revision = words.revision(event.revision)
    if event.ok:
        return f"deployment of {revision} ok in {took}"
    return f"deployment of {revision} failed in {took}: {words.short(event.reason, _WIDE)}"
