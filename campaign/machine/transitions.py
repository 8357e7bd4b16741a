"""Ways into each phase. Each gives the state in the new phase and what to ask of the world."""

from __future__ import annotations

from dataclasses import replace

from campaign.machine import budgets, watching
from campaign.machine.state import Campaign, Step
from campaign.model import (
    ApplyLoad,
    Auditing,
    Baseline,
    CancelGates,
    CancelSession,
    CloseTrial,
    Confirming,
    Disturbed,
    Fault,
    Finished,
    GrowData,
    Growing,
    Healing,
    Immune,
    Inconclusive,
    LoadVector,
    Paused,
    PrepareStack,
    Preparing,
    Recovering,
    Repairing,
    Resolved,
    SessionOutcome,
    Snapshotting,
    Spend,
    StartSession,
    Ticket,
    TrialRecord,
    Unresolved,
    Verdict,
    offered_hz,
    total_users,
)


def begin_trial(campaign: Campaign, index: int, *, at: float) -> Step:
    """The next trial, on a fresh stack when it is isolated or the first."""
    isolated = campaign.plan.mode == "isolated"
    trial = TrialRecord(
        index=index,
        profile=campaign.plan.profiles[index].id,
        started_at=at,
        revision_before=campaign.first_revision if isolated else campaign.revision,
    )
    campaign = campaign.evolve(trial=trial, readings=(), load=())
    if isolated:
        campaign = campaign.evolve(base_load=campaign.plan.base_load)
    if isolated or index == 0:
        return prepare(campaign, at=at)
    return open_trial(campaign, at=at)


def prepare(campaign: Campaign, *, at: float) -> Step:
    command = PrepareStack(trial=campaign.trial.index, fresh=True, revision=None)
    return Step(campaign.evolve(phase=Preparing(since=at)), (command,))


def _apply(campaign: Campaign, load_id: str, load: LoadVector) -> ApplyLoad:
    return ApplyLoad(id=load_id, trial=campaign.trial.index, load=load)


def open_trial(campaign: Campaign, *, at: float) -> Step:
    """The stack serves: the state that the trial starts in is kept, if the plan says so."""
    if campaign.plan.snapshots and campaign.plan.mode == "continuous":
        return enter_snapshotting(campaign, at=at)
    return enter_baseline(campaign, at=at)


def enter_snapshotting(campaign: Campaign, *, at: float) -> Step:
    load_id = f"t{campaign.trial.index}-quiet"
    phase = Snapshotting(since=at, load_id=load_id)
    return Step(campaign.evolve(phase=phase, load=()), (_apply(campaign, load_id, ()),))


def enter_baseline(campaign: Campaign, *, at: float) -> Step:
    load_id = f"t{campaign.trial.index}-baseline"
    command = _apply(campaign, load_id, campaign.base_load)
    phase = Baseline(since=at, load_id=load_id)
    return Step(campaign.evolve(phase=phase, load=campaign.base_load), (command,))


def enter_growing(campaign: Campaign, *, at: float) -> Step:
    if not campaign.profile.growth:
        return enter_disturbed(campaign, at=at)
    trial = campaign.trial.index
    command = GrowData(id=f"t{trial}-growth", trial=trial, profile=campaign.profile)
    return Step(campaign.evolve(phase=Growing(since=at)), (command,))


def enter_disturbed(campaign: Campaign, *, at: float) -> Step:
    load_id = f"t{campaign.trial.index}-full"
    command = _apply(campaign, load_id, campaign.full_load)
    phase = Disturbed(since=at, load_id=load_id)
    return Step(campaign.evolve(phase=phase, load=campaign.full_load), (command,))


def open_ticket(campaign: Campaign, names: tuple[str, ...], *, at: float) -> Step:
    """The invariants `names` are violated: page somebody."""
    ticket = Ticket(
        id=f"T{campaign.trial.index + 1:03d}",
        opened_at=at,
        symptoms=watching.symptoms(campaign, names, since=at),
        offered_hz=offered_hz(campaign.full_load),
        users=total_users(campaign.full_load),
    )
    campaign = campaign.with_trial(
        violated=names,
        violated_at=at,
        ticket=ticket,
        worst=watching.keep_worst((), campaign.readings),
    )
    return start_session(campaign, at=at, deadline=at + campaign.plan.budget.wall_s)


def start_session(campaign: Campaign, *, at: float, deadline: float) -> Step:
    """A later session on the same ticket gets what is left; with nothing left there is none."""
    if spent := budgets.used_up(campaign):
        end = session_end(SessionOutcome.BUDGET_SPENT, spent)
        return enter_recovering(campaign, at=at, session_end=end, clean=None)
    session = campaign.trial.sessions + 1
    wall_s = campaign.plan.budget.wall_s if session == 1 else max(0.0, deadline - at)
    budget = budgets.left(campaign, wall_s=wall_s)
    campaign = campaign.with_trial(sessions=session, spends=(*campaign.trial.spends, Spend()))
    assert campaign.trial.ticket is not None  # noqa: S101 - opened just before, or resumed
    command = StartSession(
        trial=campaign.trial.index, ticket=campaign.trial.ticket, session=session, budget=budget
    )
    phase = Repairing(since=at, session=session, deadline=deadline)
    return Step(campaign.evolve(phase=phase), (command,))


def session_end(outcome: SessionOutcome, reason: str) -> str:
    """How a session ended, as verdicts and reports have it: `budget spent (turns: 3 of 3)`."""
    return f"{outcome} ({reason})" if reason else str(outcome)


def enter_recovering(
    campaign: Campaign, *, at: float, session_end: str, clean: float | None
) -> Step:
    """`clean`: since when it has been clean already, counted from the last deployment."""
    campaign = campaign.with_trial(session_end=session_end)
    if campaign.trial.last_deployed_at is None or campaign.deploying:
        clean = None  # with nothing deployed, the clean period starts with the resolve
    return Step(campaign.evolve(phase=Recovering(since=at, clean_since=clean)))


def recover_again(campaign: Campaign, *, at: float) -> Step:
    """The clean period is counted afresh, at full load; what was confirmed is not what runs now."""
    cancel = _cancel_gates(campaign)
    campaign = campaign.with_trial(confirmed_at=None, after=(), assertions=())
    phase = Recovering(since=at)
    if campaign.load == campaign.full_load:
        return Step(campaign.evolve(phase=phase), cancel)
    command = _apply(campaign, f"t{campaign.trial.index}-recover", campaign.full_load)
    return Step(campaign.evolve(phase=phase, load=campaign.full_load), (*cancel, command))


def enter_confirming(campaign: Campaign, *, at: float) -> Step:
    load_id = f"t{campaign.trial.index}-confirm-base"
    command = _apply(campaign, load_id, campaign.base_load)
    phase = Confirming(since=at, stage="base", load_id=load_id)
    return Step(campaign.evolve(phase=phase, load=campaign.base_load), (command,))


def confirm_full_load(campaign: Campaign, *, at: float) -> Step:
    load_id = f"t{campaign.trial.index}-confirm-full"
    command = _apply(campaign, load_id, campaign.full_load)
    phase = Confirming(since=at, stage="full", load_id=load_id)
    return Step(campaign.evolve(phase=phase, load=campaign.full_load), (command,))


def enter_auditing(campaign: Campaign, *, at: float, broken: tuple[str, ...] = ()) -> Step:
    """Confirmed: the gates run under base load; those of an earlier audit count no more.

    `broken`: the correctness invariants that were lost during that earlier one.
    """
    trial, number = campaign.trial.index, campaign.trial.audits + 1
    campaign = campaign.with_trial(audits=number, assertions=())
    load_id = f"t{trial}-audit"
    phase = Auditing(
        since=at, heard_at=at, audit=f"{load_id}-{number}", load_id=load_id, broken=broken
    )
    command = _apply(campaign, load_id, campaign.base_load)
    return Step(campaign.evolve(phase=phase, load=campaign.base_load), (command,))


def close(campaign: Campaign, verdict: Verdict, *, at: float) -> Step:
    """The verdict stands: ratchet the base load up if the trial proved it, heal the load."""
    cancel: tuple[CancelSession, ...] = ()
    if isinstance(campaign.phase, Repairing):
        cancel = (_cancel(campaign),)
    if isinstance(verdict, Resolved | Immune) and campaign.plan.mode == "continuous":
        ratchet = campaign.scaled(campaign.profile, campaign.profile.ratchet)
        campaign = campaign.evolve(base_load=campaign.base_load + ratchet)
    confirmed = campaign.trial.confirmed_at is not None
    after = campaign.trial.after if confirmed else campaign.readings
    campaign = campaign.with_trial(verdict=verdict, ended_at=at, after=after)
    step = heal(campaign, at=at)
    closing = CloseTrial(trial=campaign.trial.index)
    return Step(step.campaign, (*cancel, *step.commands, closing))


def _cancel(campaign: Campaign) -> CancelSession:
    ticket = campaign.trial.ticket
    return CancelSession(
        trial=campaign.trial.index,
        ticket=ticket.id if ticket else "",
        session=campaign.trial.sessions,
    )


def _cancel_gates(campaign: Campaign) -> tuple[CancelGates, ...]:
    """For whoever leaves an audit before its end."""
    match campaign.phase:
        case Auditing(audit=audit, applied_at=float()):
            return (CancelGates(id=audit, trial=campaign.trial.index),)
        case _:
            return ()


def spend_budget(campaign: Campaign, phase: Repairing, *, at: float) -> Step:
    """The ticket's wall time is over: the session ends, the trial is still judged."""
    end = session_end(
        SessionOutcome.BUDGET_SPENT, f"wall time: {campaign.plan.budget.wall_s:.0f} s"
    )
    step = enter_recovering(campaign, at=at, session_end=end, clean=phase.clean_since)
    return Step(step.campaign, (_cancel(campaign), *step.commands))


def heal(campaign: Campaign, *, at: float) -> Step:
    load_id = f"t{campaign.trial.index}-heal"
    command = _apply(campaign, load_id, campaign.base_load)
    phase = Healing(since=at, load_id=load_id)
    return Step(campaign.evolve(phase=phase, load=campaign.base_load), (command,))


def healed(campaign: Campaign, phase: Healing, *, at: float) -> Step:
    """Go on, unless a deployment of this trial is still under way: the next one is not its."""
    if campaign.deploying:
        return Step(campaign.evolve(phase=replace(phase, applied_at=at)))
    return next_trial(campaign, at=at)


def next_trial(campaign: Campaign, *, at: float) -> Step:
    """After the load was healed: pause, the next trial, or the end."""
    played = campaign.trial.index + 1
    if campaign.trial.verdict is not None and len(campaign.done) < played:
        campaign = campaign.evolve(done=(*campaign.done, campaign.trial))
    if played == len(campaign.plan.profiles):
        return Step(campaign.evolve(phase=Finished(at=at)))
    if campaign.pausing:
        return Step(campaign.evolve(phase=Paused(since=at)))
    return begin_trial(campaign, played, at=at)


def give_up(campaign: Campaign, failure: str, *, at: float) -> Step:
    """The stack does not come up. What was played is kept: such a campaign can be resumed."""
    nothing_played = campaign.trial.index == 0 and not campaign.restoring
    if nothing_played:
        return Step(campaign.evolve(phase=Finished(at=at, failure=failure)))
    return Step(campaign.evolve(stopped=True, restoring=False, trouble=failure))


def wait_for_operator(campaign: Campaign, reason: str) -> Step:
    """It cannot be reached: nobody's trial is lost by that. The ticket stays open until resumed."""
    return Step(campaign.evolve(stopped=True, trouble=reason, operator_away=True))


def blame(campaign: Campaign, component: str, reason: str, *, at: float) -> Step:
    """A harness fault spoils the trial: inconclusive, whatever the operator did."""
    fault = Fault(component=component, reason=reason, at=at)
    campaign = campaign.with_trial(faults=(*campaign.trial.faults, fault))
    step = close(campaign, Inconclusive(fault=component, reason=reason), at=at)
    return Step(step.campaign, (*_cancel_gates(campaign), *step.commands))


def resolved(campaign: Campaign, *, at: float) -> Step:
    deployed = any(deployment.ok for deployment in campaign.trial.deployments)
    return close(campaign, Resolved(without_deployment=not deployed), at=at)


def unresolved(campaign: Campaign, reason: str, *, at: float, lost: tuple[str, ...] = ()) -> Step:
    """Adds how the session ended when it did not end with a resolve.

    `lost`: the invariants that did not hold.
    """
    campaign = campaign.with_trial(lost=lost)
    if campaign.trial.resolved_at is None and campaign.trial.session_end:
        reason = f"{reason}; the operator: {campaign.trial.session_end}"
    return close(campaign, Unresolved(reason=reason), at=at)


def survived(campaign: Campaign, *, at: float) -> Step:
    unmodified = campaign.revision == campaign.first_revision
    return close(campaign, Immune(unmodified=unmodified), at=at)
