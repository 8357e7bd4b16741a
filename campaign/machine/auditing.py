"""The gates: what their findings make of a trial that held at full load."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from campaign.machine import regressions, transitions, watching
from campaign.machine.state import Campaign, Step
from campaign.model import (
    DECIDING_GATES,
    AssertionJudged,
    AssertionResult,
    AssertionState,
    Auditing,
    Evaluated,
    GatesFinished,
    Inconclusive,
    Reading,
    RunGates,
)

#: The `Inconclusive.fault` of gates that cannot say how the app is.
GATES = "gates"


def begin(campaign: Campaign, phase: Auditing, *, at: float) -> Step:
    """The base load is on: the gates run."""
    phase = replace(phase, applied_at=at, heard_at=at)
    command = RunGates(id=phase.audit, trial=campaign.trial.index)
    return Step(campaign.evolve(phase=phase, readings=()), (command,))


def assertion_judged(campaign: Campaign, event: AssertionJudged) -> Step:
    """Note it once, if it comes from the audit at hand."""
    phase = campaign.phase
    if not _is_current(campaign, event.audit) or _is_known(campaign, event.result):
        return Step(campaign)
    assert isinstance(phase, Auditing)  # noqa: S101 - _is_current says so
    phase = replace(phase, heard_at=max(phase.heard_at, event.at))
    assertions = (*campaign.trial.assertions, event.result)
    return Step(campaign.with_trial(assertions=assertions).evolve(phase=phase))


def _is_current(campaign: Campaign, audit: str) -> bool:
    """Begun, and not taken over by a later one."""
    match campaign.phase:
        case Auditing(audit=current, applied_at=float()):
            return audit == current
        case _:
            return False


def _is_known(campaign: Campaign, result: AssertionResult) -> bool:
    known = ((each.gate, each.name) for each in campaign.trial.assertions)
    return (result.gate, result.name) in known


def gates_finished(campaign: Campaign, event: GatesFinished) -> Step:
    """A failure loses the trial; with none, what could not be judged makes it inconclusive."""
    if not _is_current(campaign, event.audit):
        return Step(campaign)
    if lost := _lost(campaign):
        assert isinstance(campaign.phase, Auditing)  # noqa: S101 - _is_current says so
        return transitions.unresolved(campaign, lost, at=event.at, lost=campaign.phase.broken)
    if doubt := _doubt(campaign):
        verdict = Inconclusive(fault=GATES, reason=doubt)
        return transitions.close(campaign, verdict, at=event.at)
    return transitions.resolved(campaign, at=event.at)


def _lost(campaign: Campaign) -> str:
    """Every assertion that failed, and the correctness that was lost meanwhile."""
    assert isinstance(campaign.phase, Auditing)  # noqa: S101 - its caller looked
    relapsed = regressions.relapse(campaign, campaign.phase.broken, "during the gates")
    return "; ".join(
        part for part in (_named(_in(campaign, AssertionState.FAIL)), relapsed) if part
    )


def _doubt(campaign: Campaign) -> str:
    """Why no failure proves nothing; empty when it does."""
    if not campaign.trial.assertions:
        return "they asserted nothing"
    errors = _named(_in(campaign, AssertionState.ERROR))
    return errors or _named(_in(campaign, AssertionState.BLOCKED))


def _in(campaign: Campaign, state: AssertionState) -> list[AssertionResult]:
    """Only of the gates that decide: the others grade."""
    return [
        result
        for result in campaign.trial.assertions
        if result.state is state and result.gate in DECIDING_GATES
    ]


def _named(results: Iterable[AssertionResult]) -> str:
    return "; ".join(f"{each.gate} gate: {each.name}: {each.message}" for each in results)


def watch(
    campaign: Campaign, phase: Auditing, event: Evaluated, before: tuple[Reading, ...]
) -> Step:
    """Correctness must go on holding; gates that say nothing for too long are overdue."""
    phase = _watched(campaign, phase, before)
    campaign = campaign.evolve(phase=phase)
    patience_s = campaign.plan.timings.audit_patience_s
    if event.at - phase.heard_at <= patience_s:
        return Step(campaign)
    fault, reason = GATES, f"they said nothing for more than {patience_s:g} s"
    if phase.applied_at is None:
        fault, reason = "loadgen", "the base load was never applied"
    return transitions.blame(campaign, fault, reason, at=event.at)


def _watched(campaign: Campaign, phase: Auditing, before: tuple[Reading, ...]) -> Auditing:
    """What was lost stays lost. Latency is not judged: the gates' own requests are load too."""
    if phase.applied_at is None:
        return phase
    streaks = watching.count_streaks(
        phase.streaks,
        before,
        campaign.readings,
        since=phase.applied_at,
        timings=campaign.plan.timings,
    )
    lost = [
        name for name in watching.violated(streaks) if name in regressions.correctness(campaign)
    ]
    broken = (*phase.broken, *(name for name in lost if name not in phase.broken))
    return replace(phase, streaks=streaks, broken=broken)
