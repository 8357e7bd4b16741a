"""What one evaluation means in each phase."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, assert_never

from campaign.machine import auditing, regressions, snapshots, transitions, watching
from campaign.machine.state import Campaign, Step
from campaign.machine.watching import APP
from campaign.model import (
    Auditing,
    Baseline,
    Confirming,
    Disturbed,
    Evaluated,
    Finished,
    Growing,
    Healing,
    Inconclusive,
    Paused,
    Phase,
    Plan,
    Preparing,
    Reading,
    Recovering,
    Repairing,
    Snapshotting,
    Timings,
    TrialRecord,
)
from campaign.model.phase import Streaks

_Watched = TypeVar("_Watched", Recovering, Confirming)

#: A phase that should be clean may take this many clean periods more than it needs.
_PATIENCE_PERIODS = 3

#: More than this part of the evaluations in doubt: an absent violation proves nothing.
_TOLERATED_DOUBT = 0.2


def on_evaluated(campaign: Campaign, event: Evaluated) -> Step:
    """Judge the samples and let the phase decide; a look older than the last says nothing."""
    if event.at < campaign.ticked_at:
        return Step(campaign)
    before = campaign.readings
    phase = _after_a_gap(campaign, gap_s=event.at - campaign.ticked_at)
    campaign = campaign.evolve(readings=watching.judge_all(campaign, event), ticked_at=event.at)
    match phase:
        case Baseline():
            return _baseline(campaign, phase, event)
        case Disturbed():
            return _disturbed(campaign, phase, event, before)
        case Repairing():
            return _repairing(campaign, phase, event, before)
        case Recovering():
            return _recovering(campaign, phase, event)
        case Confirming():
            return _confirming(campaign, phase, event, before)
        case Auditing():
            return auditing.watch(campaign, phase, event, before)
        case Snapshotting():
            return snapshots.watch(campaign, phase, event)
        case Preparing() | Growing() | Healing() | Paused() | Finished():
            return Step(campaign)
        case _ as never:
            assert_never(never)


def _after_a_gap(campaign: Campaign, *, gap_s: float) -> Phase:
    """The phase; what lies further apart than one window was not seen, and starts anew."""
    timings, phase = campaign.plan.timings, campaign.phase
    if gap_s <= timings.range_s:
        return phase
    match phase:
        case Disturbed(applied_at=None):
            return phase
        case Disturbed():
            missed = int(gap_s / timings.evaluation_s) - 1
            return replace(
                phase,
                streaks={},
                evaluations=phase.evaluations + missed,
                unknown=phase.unknown + missed,
                doubt=f"nothing was evaluated for {gap_s:.1f} s",
                fault="metrics",
            )
        case Baseline() | Recovering():
            return replace(phase, clean_since=None)
        case Repairing() | Confirming():
            return replace(phase, clean_since=None, streaks={})
        case Auditing():
            return replace(phase, streaks={})
        case _:
            return phase


def _streaks(
    campaign: Campaign,
    phase: Disturbed | Repairing | Confirming,
    before: tuple[Reading, ...],
    *,
    since: float,
) -> Streaks:
    """Brought up to date with what was just read, under the load that is on `since` then."""
    timings = campaign.plan.timings
    return watching.count_streaks(
        phase.streaks, before, campaign.readings, since=since, timings=timings
    )


def _baseline(campaign: Campaign, phase: Baseline, event: Evaluated) -> Step:
    timings, at = campaign.plan.timings, event.at
    if phase.applied_at is not None:
        clean = watching.clean_since(phase.clean_since, campaign.readings, at=at, must_hold=())
        phase = replace(phase, clean_since=clean)
        if clean is not None and at - clean >= _baseline_s(campaign.plan):
            return transitions.enter_growing(campaign.with_trial(baseline_at=at), at=at)
    if phase.clean_since is not None or at - phase.since < timings.baseline_patience_s:
        return Step(campaign.evolve(phase=phase))
    return _never_settled(campaign, phase, event)


def _baseline_s(plan: Plan) -> float:
    """How long the baseline is clean: a whole window, or two looks of a bare plan."""
    return plan.timings.evaluation_s if plan.bare else plan.timings.clean_period_s


def _never_settled(campaign: Campaign, phase: Baseline, event: Evaluated) -> Step:
    """Red by what an earlier trial left is a fact; anything else is our fault."""
    at = event.at
    red = () if phase.applied_at is None else watching.red_now(campaign.readings)
    inherited = campaign.plan.origin is not None or (
        campaign.plan.mode == "continuous" and campaign.trial.index > 0
    )
    if red and inherited:
        campaign = campaign.with_trial(baseline_at=at, baseline_red=red)
        return transitions.enter_growing(campaign, at=at)
    if red:
        reason = f"the unmodified app violates {', '.join(red)} under base load"
        return transitions.blame(campaign, "calibration", reason, at=at)
    if phase.applied_at is None and campaign.trial.faults:
        fault = campaign.trial.faults[-1]
        verdict = Inconclusive(fault=fault.component, reason=fault.reason)
        return transitions.close(campaign, verdict, at=at)
    doubt = watching.doubt(campaign.readings, event.missing)
    if doubt is None:
        return transitions.blame(campaign, "loadgen", "the base load was never applied", at=at)
    return transitions.blame(campaign, doubt.fault, doubt.reason, at=at)


def _disturbed(
    campaign: Campaign, phase: Disturbed, event: Evaluated, before: tuple[Reading, ...]
) -> Step:
    """Violations count from the warm-up on, doubt only once a whole window lies under the load."""
    timings, at = campaign.plan.timings, event.at
    if phase.applied_at is None or at < phase.applied_at + timings.warm_up_s:
        return Step(campaign.evolve(phase=phase))
    on_for = at - phase.applied_at
    phase = replace(phase, streaks=_streaks(campaign, phase, before, since=phase.applied_at))
    if names := watching.violated(phase.streaks):
        return transitions.open_ticket(campaign, names, at=at)
    if on_for >= timings.clean_period_s:
        phase = _count_doubt(campaign, phase, event)
    campaign = campaign.evolve(phase=phase)
    window_s = campaign.profile.window_s
    if on_for < max(timings.warm_up_s + window_s, timings.clean_period_s):
        return Step(campaign)
    return _window_ended(campaign, phase, event)


def _count_doubt(campaign: Campaign, phase: Disturbed, event: Evaluated) -> Disturbed:
    """An invariant that the profile should break must have been put to the test."""
    known = {invariant.id for invariant in campaign.invariants}
    must_hold = tuple(name for name in campaign.profile.breaks if name in known)
    doubt = watching.doubt(campaign.readings, event.missing, must_hold=must_hold)
    if doubt is None:
        return replace(phase, evaluations=phase.evaluations + 1)
    return replace(
        phase,
        evaluations=phase.evaluations + 1,
        unknown=phase.unknown + 1,
        doubt=doubt.reason,
        fault=doubt.fault,
    )


def _window_ended(campaign: Campaign, phase: Disturbed, event: Evaluated) -> Step:
    """Immune, unless too much was in doubt; a last look that is not clean is taken again."""
    at = event.at
    if phase.unknown > _TOLERATED_DOUBT * phase.evaluations:
        swallowed = watching.red_now(campaign.readings)
        if phase.fault == APP and swallowed:
            return transitions.open_ticket(campaign, swallowed, at=at)
        verdict = Inconclusive(fault=phase.fault, reason=phase.doubt)
        return transitions.close(campaign, verdict, at=at)
    if not watching.is_clean(campaign.readings):
        return Step(campaign)
    return transitions.survived(campaign, at=at)


def _repairing(
    campaign: Campaign, phase: Repairing, event: Evaluated, before: tuple[Reading, ...]
) -> Step:
    """One incident may violate more than what it was detected by; all of it must recover."""
    if phase.load_id:
        return Step(campaign)
    at = event.at
    since = campaign.trial.full_load_at or campaign.trial.started_at
    streaks = _streaks(campaign, phase, before, since=since)
    more = tuple(n for n in watching.violated(streaks) if n not in campaign.trial.violated)
    campaign = campaign.with_trial(violated=campaign.trial.violated + more)
    trial = campaign.trial
    clean = watching.clean_since(
        phase.clean_since, campaign.readings, at=at, must_hold=trial.violated
    )
    phase = replace(phase, clean_since=clean, streaks=streaks)
    if watching.violated_now(campaign.readings):
        campaign = campaign.with_trial(worst=watching.keep_worst(trial.worst, campaign.readings))
    if at >= phase.deadline:
        return transitions.spend_budget(campaign, phase, at=at)
    return Step(campaign.evolve(phase=phase))


def _recovering(campaign: Campaign, phase: Recovering, event: Evaluated) -> Step:
    timings, at, trial = campaign.plan.timings, event.at, campaign.trial
    if campaign.deploying:
        return Step(campaign.evolve(phase=replace(phase, clean_since=None)))
    phase = _watched(campaign, phase, event)
    clean = phase.clean_since
    if clean is not None and at - clean >= timings.clean_period_s:
        campaign = campaign.with_trial(first_green_at=clean)
        if campaign.plan.bare:
            return transitions.enter_auditing(campaign, at=at)
        return transitions.enter_confirming(campaign, at=at)
    waited_from = max(phase.since, trial.last_switch_at or phase.since)
    if clean is not None or at - waited_from < _patience_s(timings, trial):
        return Step(campaign.evolve(phase=phase))
    names = watching.red_now(campaign.readings) or trial.violated
    reason = regressions.not_recovered(campaign, names)
    return _out_of_patience(campaign, phase, event, reason, lost=names)


def _patience_s(timings: Timings, trial: TrialRecord) -> float:
    """An app that nobody touched or called mended does not mend itself."""
    untouched = not trial.deployments and trial.resolved_at is None
    patience_s = timings.recovery_patience_s
    return min(timings.clean_period_s, patience_s) if untouched else patience_s


def _confirming(
    campaign: Campaign, phase: Confirming, event: Evaluated, before: tuple[Reading, ...]
) -> Step:
    if phase.applied_at is None:
        return Step(campaign.evolve(phase=phase))
    on_for = event.at - phase.applied_at
    phase = replace(phase, streaks=_streaks(campaign, phase, before, since=phase.applied_at))
    if names := watching.violated(phase.streaks):
        reason = regressions.relapse(campaign, names, f"at {phase.stage} load")
        return transitions.unresolved(campaign, reason, at=event.at, lost=names)
    phase = _watched(campaign, phase, event)
    return _confirmed(campaign, phase, event, on_for=on_for)


def _must_hold(campaign: Campaign, phase: Recovering | Confirming) -> tuple[str, ...]:
    """What was violated; back at base load it may well be idle."""
    at_base = isinstance(phase, Confirming) and phase.stage == "base"
    return () if at_base else campaign.trial.violated


def _watched(campaign: Campaign, phase: _Watched, event: Evaluated) -> _Watched:
    """The phase with this evaluation noted."""
    readings, at = campaign.readings, event.at
    must_hold = _must_hold(campaign, phase)
    clean = watching.clean_since(phase.clean_since, readings, at=at, must_hold=must_hold)
    if clean is not None:
        return replace(phase, clean_since=clean, doubt="")
    doubt = watching.doubt(readings, event.missing, must_hold=must_hold)
    return replace(
        phase,
        clean_since=None,
        red_at=at if watching.red_now(readings) else phase.red_at,
        doubt=doubt.reason if doubt else "",
    )


def _confirmed(campaign: Campaign, phase: Confirming, event: Evaluated, *, on_for: float) -> Step:
    """Long enough on, and clean at its end; or out of patience."""
    timings, at = campaign.plan.timings, event.at
    enough = timings.clean_period_s
    if phase.stage == "full":
        enough = timings.confirm_s(campaign.trial.time_to_detect_s or 0.0)
    clean = phase.clean_since
    if clean is not None and on_for >= enough and at - clean >= timings.clean_period_s:
        if phase.stage == "base":
            return transitions.confirm_full_load(campaign, at=at)
        campaign = campaign.with_trial(confirmed_at=at, after=campaign.readings)
        return transitions.enter_auditing(campaign, at=at)
    patience = enough + _PATIENCE_PERIODS * timings.clean_period_s
    if clean is not None or on_for < patience:
        return Step(campaign.evolve(phase=phase))
    reason = f"never steady at {phase.stage} load"
    names = watching.red_now(campaign.readings)
    return _out_of_patience(campaign, phase, event, reason, lost=names)


def _out_of_patience(
    campaign: Campaign,
    phase: Recovering | Confirming,
    event: Evaluated,
    reason: str,
    *,
    lost: tuple[str, ...],
) -> Step:
    """Red a short while ago: lost. What could not be measured is the harness's fault."""
    doubt = watching.doubt(campaign.readings, event.missing, must_hold=_must_hold(campaign, phase))
    recent_s = campaign.plan.timings.clean_period_s
    red = phase.red_at is not None and event.at - phase.red_at <= recent_s
    if red or doubt is None:
        return transitions.unresolved(campaign, reason, at=event.at, lost=lost)
    verdict = Inconclusive(fault=doubt.fault, reason=doubt.reason)
    return transitions.close(campaign, verdict, at=event.at)
