"""What one evaluation means in each phase."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, assert_never

from campaign.machine import transitions, watching
from campaign.machine.state import Campaign, Step
from campaign.model import (
    Baseline,
    Confirming,
    Disturbed,
    Evaluated,
    Finished,
    Growing,
    Healing,
    Inconclusive,
    Paused,
    Preparing,
    Reading,
    Recovering,
    Repairing,
    Status,
)

#: A phase that should be clean may take this many clean periods before it is judged as it is.
_PATIENCE_PERIODS = 3

#: More than this part of the evaluations in doubt: an absent violation proves nothing.
_TOLERATED_DOUBT = 0.2

_Counting = TypeVar("_Counting", Baseline, Disturbed, Confirming)


def on_evaluated(campaign: Campaign, event: Evaluated) -> Step:
    """Judge the samples and let the phase decide."""
    before = campaign.readings
    campaign = campaign.evolve(readings=watching.judge_all(campaign, event))
    match campaign.phase:
        case Baseline() as phase:
            return _baseline(campaign, _count(campaign, phase, before), event)
        case Disturbed() as phase:
            return _disturbed(campaign, _count(campaign, phase, before), event)
        case Repairing() as phase:
            return _repairing(campaign, phase, event)
        case Recovering() as phase:
            return _recovering(campaign, phase, event)
        case Confirming() as phase:
            return _confirming(campaign, _count(campaign, phase, before), event)
        case Preparing() | Growing() | Healing() | Paused() | Finished():
            return Step(campaign)
        case _ as never:
            assert_never(never)


def _count(campaign: Campaign, phase: _Counting, before: tuple[Reading, ...]) -> _Counting:
    """The phase with its streaks brought up to date; nothing counts during the warm-up."""
    if phase.applied_at is None:
        return phase
    since = phase.applied_at + campaign.plan.timings.warm_up_s
    fresh = watching.fresh_readings(before, campaign.readings, since=since)
    return replace(phase, streaks=watching.count_streaks(phase.streaks, campaign.readings, fresh))


def _baseline(campaign: Campaign, phase: Baseline, event: Evaluated) -> Step:
    timings = campaign.plan.timings
    at = event.at
    if phase.applied_at is not None:
        clean = watching.clean_since(phase.clean_since, campaign.readings, at=at, must_hold=())
        phase = replace(phase, clean_since=clean)
        if clean is not None and at - clean >= timings.clean_period_s:
            return transitions.enter_growing(campaign.with_trial(baseline_at=at), at=at)
    if at - phase.since < timings.baseline_patience_s:
        return Step(campaign.evolve(phase=phase))
    return _baseline_out_of_patience(campaign, phase, event)


def _baseline_out_of_patience(campaign: Campaign, phase: Baseline, event: Evaluated) -> Step:
    """Red by an earlier trial's damage is a fact of the campaign; anything else is our fault."""
    red = watching.violated(phase.streaks)
    at = event.at
    if red and campaign.plan.mode == "continuous" and campaign.trial.index > 0:
        campaign = campaign.with_trial(baseline_at=at, baseline_red=red)
        return transitions.enter_growing(campaign, at=at)
    if red:
        reason = f"the unmodified app violates {', '.join(red)} under base load"
        return transitions.blame(campaign, "calibration", reason, at=at)
    reason = watching.doubt(campaign.readings, event.missing) or "the baseline never settled"
    return transitions.blame(campaign, "metrics", reason, at=at)


def _disturbed(campaign: Campaign, phase: Disturbed, event: Evaluated) -> Step:
    timings = campaign.plan.timings
    at = event.at
    if phase.applied_at is None or at < phase.applied_at + timings.warm_up_s:
        return Step(campaign.evolve(phase=phase))
    window_ends_at = phase.applied_at + timings.warm_up_s + campaign.profile.window_s
    if names := watching.violated(phase.streaks):
        return transitions.open_ticket(campaign.evolve(phase=phase), names, at=at)
    doubt = watching.doubt(campaign.readings, event.missing)
    phase = replace(
        phase,
        evaluations=phase.evaluations + 1,
        unknown=phase.unknown + bool(doubt),
        doubt=doubt or phase.doubt,
    )
    campaign = campaign.evolve(phase=phase)
    if at < window_ends_at:
        return Step(campaign)
    return _window_ended(campaign, phase, at=at, in_doubt=bool(doubt))


def _window_ended(campaign: Campaign, phase: Disturbed, *, at: float, in_doubt: bool) -> Step:
    if in_doubt or phase.unknown > _TOLERATED_DOUBT * phase.evaluations:
        fault = "loadgen" if "starved" in phase.doubt else "metrics"
        return transitions.close(campaign, Inconclusive(fault=fault, reason=phase.doubt), at=at)
    if watching.violated_now(campaign.readings):
        return Step(campaign)  # one more evaluation decides
    return transitions.survived(campaign, at=at)


def _repairing(campaign: Campaign, phase: Repairing, event: Evaluated) -> Step:
    at = event.at
    trial = campaign.trial
    clean = watching.clean_since(
        phase.clean_since, campaign.readings, at=at, must_hold=trial.violated
    )
    phase = replace(phase, clean_since=None if campaign.deploying else clean)
    campaign = campaign.with_trial(worst=watching.keep_worst(trial.worst, campaign.readings))
    if at >= phase.deadline:
        return transitions.spend_budget(campaign, phase, at=at)
    return Step(campaign.evolve(phase=phase))


def _recovering(campaign: Campaign, phase: Recovering, event: Evaluated) -> Step:
    timings = campaign.plan.timings
    at = event.at
    if campaign.deploying:
        return Step(campaign.evolve(phase=replace(phase, clean_since=None)))
    clean = watching.clean_since(
        phase.clean_since, campaign.readings, at=at, must_hold=campaign.trial.violated
    )
    phase = replace(
        phase, clean_since=clean, doubt=watching.doubt(campaign.readings, event.missing)
    )
    if clean is not None and at - clean >= timings.clean_period_s:
        return transitions.enter_confirming(campaign.with_trial(first_green_at=clean), at=at)
    waited_from = max(phase.since, campaign.trial.last_deployed_at or phase.since)
    if at - waited_from < timings.recovery_patience_s:
        return Step(campaign.evolve(phase=phase))
    return _not_recovered(campaign, phase, at=at)


def _not_recovered(campaign: Campaign, phase: Recovering, *, at: float) -> Step:
    red = watching.violated_now(campaign.readings)
    if phase.doubt and not red:
        verdict = Inconclusive(fault="metrics", reason=phase.doubt)
        return transitions.close(campaign, verdict, at=at)
    names = ", ".join(red or campaign.trial.violated)
    return transitions.unresolved(campaign, f"did not recover: {names}", at=at)


def _confirming(campaign: Campaign, phase: Confirming, event: Evaluated) -> Step:
    at = event.at
    if phase.applied_at is None:
        return Step(campaign.evolve(phase=phase))
    full = phase.stage == "full"
    if names := watching.violated(phase.streaks):
        load = "full load" if full else "base load"
        reason = f"violated again at {load}: {', '.join(names)}"
        return transitions.unresolved(campaign, reason, at=at)
    clean = watching.clean_since(
        phase.clean_since,
        campaign.readings,
        at=at,
        must_hold=campaign.trial.violated if full else (),
    )
    doubt = watching.doubt(campaign.readings, event.missing)
    phase = replace(phase, clean_since=clean, doubt=doubt)
    campaign = campaign.evolve(phase=phase)
    return _confirmed(campaign, phase, at=at)


def _confirmed(campaign: Campaign, phase: Confirming, *, at: float) -> Step:
    """Long enough on, and clean at its end; or out of patience."""
    timings = campaign.plan.timings
    assert phase.applied_at is not None  # noqa: S101 - its callers know
    enough = timings.clean_period_s
    if phase.stage == "full":
        enough = timings.confirm_s(campaign.trial.time_to_detect_s or 0.0)
    on_for = at - phase.applied_at
    clean_for = 0.0 if phase.clean_since is None else at - phase.clean_since
    if on_for >= enough and clean_for >= timings.clean_period_s:
        if phase.stage == "base":
            return transitions.confirm_full_load(campaign, at=at)
        return transitions.resolved(campaign, at=at)
    if on_for < enough + _PATIENCE_PERIODS * timings.clean_period_s:
        return Step(campaign)
    if any(reading.status is Status.UNKNOWN for reading in campaign.readings):
        verdict = Inconclusive(fault="metrics", reason=phase.doubt)
        return transitions.close(campaign, verdict, at=at)
    return transitions.unresolved(campaign, f"never steady at {phase.stage} load", at=at)
