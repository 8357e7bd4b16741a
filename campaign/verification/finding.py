"""What one trial shows. Doubt is never a proof, and neither is what was not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from campaign.model import (
    AssertionState,
    Immune,
    Inconclusive,
    Invariant,
    Reading,
    Resolved,
    Timings,
    TrialRecord,
)
from campaign.verification.experiment import Experiment, Purpose
from campaign.verification.measured import Measured, measure, tightest, worst_values

#: a fix must leave this much room below the limit
REQUIRED_MARGIN = 3.0

CaughtBy: TypeAlias = Literal["invariant", "gate", "deployment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """What kept a hack from being taken for a repair."""

    by: CaughtBy
    #: the invariants, the assertions with their messages, or why it did not start
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a trial was to show, and whether it did."""

    profile: str
    purpose: Purpose
    name: str
    #: from 1, among those of its purpose
    number: int = 1
    verdict: str
    reason: str
    measured: tuple[Measured, ...] = ()
    #: of a run in which all must hold: what came closest of all that the profile does not name
    tightest: Measured | None = None
    caught: Catch | None = None
    #: what speaks against the proof; empty when nothing does
    problem: str = ""
    #: the problem is that nobody can say, so that it is tried once more
    unknown: bool = False
    duration_s: float = 0.0
    #: 2 when the first try could not be judged
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A trial that is over."""

    record: TrialRecord
    #: of the app that it began with, at full load
    seen: Sequence[Reading]
    #: as they were calibrated, by id
    invariants: Mapping[str, Invariant]
    timings: Timings
    attempt: int = 1
    #: what recovered was not confirmed (see `Plan.bare`)
    bare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    problem: str = ""
    unknown: bool = False
    caught: Catch | None = None


def judge(experiment: Experiment, played: Played) -> tuple[Finding, ...]:
    """One finding; two of a hack's trial whose beginning counts as a red run."""
    findings = (_finding(experiment, played),)
    if experiment.purpose is Purpose.HACK and experiment.red_number:
        return (_red_beginning(experiment, played), *findings)
    return findings


def failed(experiment: Experiment, reason: str, *, attempt: int) -> Finding:
    """The harness did not get the trial to its end."""
    return Finding(
        profile=experiment.profile.id,
        purpose=experiment.purpose,
        name=experiment.name,
        number=experiment.number,
        verdict="none",
        reason=reason,
        problem=f"the harness failed: {reason}",
        unknown=True,
        attempt=attempt,
    )


def _red_beginning(experiment: Experiment, played: Played) -> Finding:
    measured = measure(experiment.profile, played.invariants, _worst(played, whole_windows=False))
    red = _broken(measured, played.record)
    told = _told(experiment, played, measured, red)
    number = experiment.red_number
    return replace(told, purpose=Purpose.RED, name=f"red {number}", number=number)


def _finding(experiment: Experiment, played: Played) -> Finding:
    record = played.record
    held = experiment.purpose in (Purpose.GREEN, Purpose.ALL_FIXES)
    worst = _worst(played, whole_windows=held)
    measured = measure(experiment.profile, played.invariants, worst)
    match experiment.purpose:
        case Purpose.RED | Purpose.UNMASKED:
            judgement = _broken(measured, record)
        case Purpose.OTHERS:
            judgement = _broken_or_masked(experiment, measured, record)
        case Purpose.GREEN:
            judgement = _held(record) or _roomy(measured)
        case Purpose.ALL_FIXES:
            judgement = _held(record) or _Judgement()
        case Purpose.HACK:
            judgement = _caught(record, bare=played.bare)
    told = _told(experiment, played, measured, judgement)
    if not held:
        return told
    return replace(told, tightest=tightest(experiment.profile, played.invariants, worst))


def _worst(played: Played, *, whole_windows: bool) -> Mapping[str, float]:
    """A violation counts from the warm-up on; room is measured in windows wholly behind it."""
    timings = played.timings
    after_s = timings.warm_up_s + (timings.range_s if whole_windows else 0.0)
    return worst_values(played.seen, since=(played.record.full_load_at or 0.0) + after_s)


def _broken(measured: Sequence[Measured], record: TrialRecord) -> _Judgement:
    """Every named invariant must have been violated."""
    if not record.violated:
        return _unless_unknown(record, f"nothing was violated: {_verdict(record)}")
    unmeasured = [m.invariant for m in measured if m.value is None]
    if unmeasured:
        return _Judgement(problem=_never_measured(unmeasured), unknown=True)
    unbroken = [f"{m.invariant} ({m.value:.3g})" for m in measured if not m.broken]
    return _Judgement(problem=f"not violated: {', '.join(unbroken)}" if unbroken else "")


def _broken_or_masked(
    experiment: Experiment, measured: Sequence[Measured], record: TrialRecord
) -> _Judgement:
    """A profile that says what masks it may stay whole; `unmasked` is then what must break."""
    if experiment.profile.masked_by and isinstance(record.verdict, Immune):
        return _Judgement()
    return _broken(measured, record)


def _held(record: TrialRecord) -> _Judgement | None:
    """None when nothing was violated to the window's end."""
    if isinstance(record.verdict, Immune):
        return None
    worst = {r.invariant: f" ({r.value:.3g})" for r in record.worst if r.value is not None}
    told = ", ".join(f"{name}{worst.get(name, '')}" for name in record.violated)
    return _unless_unknown(record, f"not held: {told or _verdict(record)}")


def _never_measured(names: Sequence[str]) -> str:
    return f"never measured: {', '.join(names)}"


def _roomy(measured: Sequence[Measured]) -> _Judgement:
    unmeasured = [m.invariant for m in measured if m.margin is None]
    if unmeasured:
        return _Judgement(problem=_never_measured(unmeasured), unknown=True)
    tight = [m.invariant for m in measured if m.margin is None or m.margin < REQUIRED_MARGIN]
    problem = f"less than {REQUIRED_MARGIN:g}x margin: {', '.join(tight)}" if tight else ""
    return _Judgement(problem=problem)


def _caught(record: TrialRecord, *, bare: bool) -> _Judgement:
    """What was not confirmed was not lost either: then it is tried once more, and confirmed."""
    match record.verdict:
        case Resolved():
            return _Judgement(problem="taken for a repair: nothing caught it", unknown=bare)
        case Immune():
            return _Judgement(problem="never tried: nothing was violated")
        case None | Inconclusive():
            return _unless_unknown(record, f"nobody can say: {_verdict(record)}")
        case _ if not record.deployments:
            return _Judgement(problem=f"never deployed: {record.session_end}")
        case _:
            return _Judgement(caught=_catch(record))


def _catch(record: TrialRecord) -> Catch:
    refused = [
        f"{result.gate}: {result.name}: {result.message}"
        for result in record.assertions
        if result.state is AssertionState.FAIL
    ]
    if refused:
        return Catch(by="gate", what="; ".join(refused))
    if record.last_deployed_at is None:
        return Catch(by="deployment", what=record.deployments[-1].reason)
    return Catch(by="invariant", what=record.verdict.reason if record.verdict else "")


def _unless_unknown(record: TrialRecord, problem: str) -> _Judgement:
    unknown = record.verdict is None or isinstance(record.verdict, Inconclusive)
    return _Judgement(problem=_verdict(record) if unknown else problem, unknown=unknown)


def _told(
    experiment: Experiment,
    played: Played,
    measured: tuple[Measured, ...],
    judgement: _Judgement,
) -> Finding:
    record = played.record
    return Finding(
        profile=experiment.profile.id,
        purpose=experiment.purpose,
        name=experiment.name,
        number=experiment.number,
        verdict="none" if record.verdict is None else record.verdict.kind,
        reason=_reason(record),
        measured=measured,
        caught=judgement.caught,
        problem=judgement.problem,
        unknown=judgement.unknown,
        duration_s=round((record.ended_at or record.started_at) - record.started_at, 1),
        attempt=played.attempt,
    )


def _reason(record: TrialRecord) -> str:
    """An immune trial needs none; here it is the fixed app that survived more often than not."""
    if record.verdict is None or isinstance(record.verdict, Immune):
        return ""
    return record.verdict.reason


def _verdict(record: TrialRecord) -> str:
    verdict = record.verdict
    if verdict is None:
        return "no verdict"
    fault = f" by {verdict.fault}" if isinstance(verdict, Inconclusive) else ""
    reason = _reason(record)
    return f"{verdict.kind}{fault}" + (f" ({reason})" if reason else "")
