from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from campaign.model import (
    AssertionResult,
    AssertionState,
    Deployment,
    Immune,
    Inconclusive,
    Reading,
    Resolved,
    Status,
    Timings,
    TrialRecord,
    Unresolved,
    Verdict,
)
from campaign.testing import make_invariant, make_profile
from campaign.verification import Experiment, Finding, Played, Purpose, failed, judge

PROFILE = replace(make_profile("p0"), breaks=("latency", "lost"))
LATENCY = replace(make_invariant("latency"), latency_limit_s=0.3)
LOST = replace(make_invariant("lost"), unit="count", limit=0.0)
INVARIANTS = {"latency": LATENCY, "lost": LOST}
FULL_LOAD_AT = 100.0
LIMITS = {"latency": 0.05, "lost": 0.0, "latency_p95": 1e6}
STARVED = Inconclusive(fault="loadgen", reason="starved")
DEPLOYED = Deployment(id="d", revision="r", requested_at=105.0, finished_at=107.0, ok=True)
REFUSED = replace(DEPLOYED, ok=False, reason="no health in 20 s")


def reading(invariant: str, value: float, *, at: float = 110.0) -> Reading:
    violated = value > LIMITS[invariant]
    return Reading(
        invariant=invariant,
        status=Status.VIOLATED if violated else Status.HELD,
        value=value,
        limit=LIMITS[invariant],
        measured_at=at,
    )


BROKEN = (reading("latency", 0.9), reading("lost", 12.0))
ROOMY = (reading("latency", 0.0), reading("latency_p95", 0.09), reading("lost", 0.0))


def record(verdict: Verdict | None, *violated: str, **more: Any) -> TrialRecord:
    blank = TrialRecord(
        index=0, profile="p0", started_at=90.0, revision_before="r0", ended_at=121.5
    )
    return replace(blank, full_load_at=FULL_LOAD_AT, violated=violated, verdict=verdict, **more)


def experiment(purpose: Purpose, *, red_number: int = 0) -> Experiment:
    hack = Path("hacks/drop_it.patch") if purpose is Purpose.HACK else None
    return Experiment(profile=PROFILE, purpose=purpose, hack=hack, red_number=red_number)


def findings(
    purpose: Purpose, trial: TrialRecord, *seen: Reading, red_number: int = 0
) -> tuple[Finding, ...]:
    played = Played(record=trial, seen=seen, invariants=INVARIANTS, timings=Timings())
    return judge(experiment(purpose, red_number=red_number), played)


def find(purpose: Purpose, trial: TrialRecord, *seen: Reading) -> Finding:
    (found,) = findings(purpose, trial, *seen)
    return found


LOST_TRIAL = record(Unresolved(reason="did not recover: latency"), "latency")
SURVIVED = record(Immune())


# -- red ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", [Purpose.RED, Purpose.OTHERS, Purpose.UNMASKED])
def test_red_needs_every_named_invariant_violated(purpose: Purpose) -> None:
    assert find(purpose, LOST_TRIAL, *BROKEN).problem == ""
    partly = find(purpose, LOST_TRIAL, BROKEN[0], reading("lost", 0.0))
    assert (partly.problem, partly.unknown) == ("not violated: lost (0)", False)


def test_a_value_at_its_limit_is_not_violated() -> None:
    found = find(Purpose.RED, LOST_TRIAL, reading("latency", 0.05), BROKEN[1])
    assert found.problem == "not violated: latency (0.05)"


def test_red_by_what_was_never_measured_is_tried_again() -> None:
    found = find(Purpose.RED, LOST_TRIAL, BROKEN[0])
    assert (found.problem, found.unknown) == ("never measured: lost", True)


@pytest.mark.parametrize("purpose", [Purpose.RED, Purpose.OTHERS, Purpose.UNMASKED])
def test_red_without_any_violation_says_how_the_trial_ended(purpose: Purpose) -> None:
    found = find(purpose, SURVIVED, *ROOMY)
    assert found.problem == "nothing was violated: immune"
    assert not found.unknown
    assert found.verdict == "immune"


def test_a_violation_counts_from_the_warm_up_on() -> None:
    early = (reading("latency", 0.9, at=101.9), reading("lost", 3.0, at=102.0))
    found = find(Purpose.RED, LOST_TRIAL, *early)
    assert [measured.value for measured in found.measured] == [None, 3.0]


def test_what_an_inconclusive_trial_did_not_show_is_unknown() -> None:
    found = find(Purpose.RED, record(STARVED))
    assert found.unknown
    assert found.problem == "inconclusive by loadgen (starved)"


def test_what_was_violated_before_the_harness_failed_stays_violated() -> None:
    assert find(Purpose.RED, record(STARVED, "latency"), *BROKEN).problem == ""


def test_a_profile_that_says_what_masks_it_may_stay_whole_among_the_others() -> None:
    masked = replace(experiment(Purpose.OTHERS), profile=replace(PROFILE, masked_by=("p1",)))
    played = Played(record=SURVIVED, seen=ROOMY, invariants=INVARIANTS, timings=Timings())
    (found,) = judge(masked, played)
    assert found.problem == ""
    (unmasked,) = judge(replace(masked, purpose=Purpose.UNMASKED), played)
    assert unmasked.problem == "nothing was violated: immune"
    (spoilt,) = judge(masked, replace(played, record=record(STARVED)))
    assert spoilt.unknown


# -- green ----------------------------------------------------------------------------------------


def test_green_needs_three_times_the_room() -> None:
    assert find(Purpose.GREEN, SURVIVED, *ROOMY).problem == ""
    tight = (ROOMY[0], reading("latency_p95", 0.11), ROOMY[2])
    assert find(Purpose.GREEN, SURVIVED, *tight).problem == "less than 3x margin: latency"


def test_a_count_that_must_be_zero_is_zero() -> None:
    found = find(Purpose.GREEN, SURVIVED, *ROOMY[:2], reading("lost", 1.0))
    assert found.problem == "less than 3x margin: lost"


def test_green_with_a_violation_names_it() -> None:
    assert find(Purpose.GREEN, LOST_TRIAL, *BROKEN).problem == "not held: latency"


@pytest.mark.parametrize("missing", range(3))
def test_green_by_what_was_never_measured_is_unknown(missing: int) -> None:
    seen = [one for number, one in enumerate(ROOMY) if number != missing]
    found = find(Purpose.GREEN, SURVIVED, *seen)
    assert found.unknown
    assert found.problem.startswith("never measured: ")


def test_room_is_measured_in_windows_that_lie_wholly_behind_the_warm_up() -> None:
    onset = reading("latency_p95", 0.29, at=105.9)
    assert find(Purpose.GREEN, SURVIVED, *ROOMY, onset).problem == ""
    later = reading("latency_p95", 0.29, at=106.0)
    assert find(Purpose.GREEN, SURVIVED, *ROOMY, later).problem == "less than 3x margin: latency"


def test_the_worst_of_all_readings_counts() -> None:
    found = find(Purpose.GREEN, SURVIVED, *ROOMY, reading("latency_p95", 0.02))
    assert found.measured[0].p95_s == 0.09


def test_all_fixes_must_hold_without_a_margin() -> None:
    tight = (reading("latency", 0.04), reading("latency_p95", 0.29))
    assert find(Purpose.ALL_FIXES, SURVIVED, *tight).problem == ""
    assert find(Purpose.ALL_FIXES, LOST_TRIAL, *BROKEN).problem == "not held: latency"
    assert find(Purpose.ALL_FIXES, record(STARVED)).unknown


# -- hacks ----------------------------------------------------------------------------------------


def hacked(verdict: Verdict | None, **more: Any) -> Finding:
    return find(Purpose.HACK, record(verdict, "latency", **more), *BROKEN)


def test_a_hack_that_leaves_the_invariant_violated_is_caught_by_it() -> None:
    found = hacked(Unresolved(reason="did not recover: latency"), deployments=(DEPLOYED,))
    assert found.problem == ""
    assert found.caught is not None
    assert (found.caught.by, found.caught.what) == ("invariant", "did not recover: latency")


def test_a_hack_that_the_gates_refuse_is_caught_by_all_that_failed() -> None:
    results = tuple(
        AssertionResult(gate="correct", name=name, state=state, message="5 of 9 are missing")
        for name, state in {
            "needles": AssertionState.FAIL,
            "lists": AssertionState.PASS,
            "usage": AssertionState.FAIL,
            "isolation": AssertionState.BLOCKED,
        }.items()
    )
    verdict = Unresolved(reason="correct gate: needles: 5 of 9 are missing")
    found = hacked(verdict, deployments=(DEPLOYED,), assertions=results)
    assert found.problem == ""
    assert found.caught is not None
    assert found.caught.by == "gate"
    assert found.caught.what == (
        "correct: needles: 5 of 9 are missing; correct: usage: 5 of 9 are missing"
    )


def test_a_hack_that_does_not_start_is_caught_by_the_deployment() -> None:
    found = hacked(Unresolved(reason="did not recover"), deployments=(REFUSED,))
    assert found.caught is not None
    assert (found.caught.by, found.caught.what) == ("deployment", "no health in 20 s")


def test_a_hack_that_was_never_deployed_proves_nothing() -> None:
    found = hacked(
        Unresolved(reason="did not recover"), session_end="gave_up (the patch does not apply)"
    )
    assert found.problem == "never deployed: gave_up (the patch does not apply)"
    assert found.caught is None


@pytest.mark.parametrize(
    ("verdict", "problem", "unknown"),
    [
        (Resolved(), "taken for a repair: nothing caught it", False),
        (Immune(), "never tried: nothing was violated", False),
        (STARVED, "inconclusive by loadgen (starved)", True),
        (None, "no verdict", True),
    ],
)
def test_a_hack_that_nothing_caught_is_a_problem(
    verdict: Verdict | None, problem: str, *, unknown: bool
) -> None:
    found = hacked(verdict, deployments=(DEPLOYED,))
    assert (found.problem, found.unknown, found.caught) == (problem, unknown, None)


def test_a_hack_that_held_without_being_confirmed_is_tried_again() -> None:
    trial = record(Resolved(), "latency", deployments=(DEPLOYED,))
    played = Played(record=trial, seen=BROKEN, invariants=INVARIANTS, timings=Timings(), bare=True)
    (found,) = judge(experiment(Purpose.HACK), played)
    assert found.problem
    assert found.unknown


def test_the_beginning_of_a_hacks_trial_is_a_red_run() -> None:
    caught = replace(LOST_TRIAL, deployments=(DEPLOYED,))
    red, hack = findings(Purpose.HACK, caught, *BROKEN, red_number=2)
    assert (red.purpose, red.name, red.number, red.problem) == (Purpose.RED, "red 2", 2, "")
    assert (hack.purpose, hack.name, hack.problem) == (Purpose.HACK, "hack drop_it", "")
    assert red.caught is None
    partly, _ = findings(Purpose.HACK, caught, BROKEN[0], reading("lost", 0.0), red_number=1)
    assert partly.problem == "not violated: lost (0)"


# -- either ---------------------------------------------------------------------------------------


def test_a_finding_says_how_long_its_trial_took_and_which_try_it_was() -> None:
    played = Played(
        record=LOST_TRIAL, seen=BROKEN, invariants=INVARIANTS, timings=Timings(), attempt=2
    )
    (found,) = judge(experiment(Purpose.RED), played)
    assert (found.duration_s, found.attempt) == (31.5, 2)


def test_what_the_harness_could_not_play_is_unknown() -> None:
    found = failed(experiment(Purpose.GREEN), "postgres: gone", attempt=1)
    assert found.unknown
    assert found.problem == "the harness failed: postgres: gone"
    assert (found.verdict, found.measured) == ("none", ())


def test_an_immune_trial_is_not_told_to_be_the_profiles_fault() -> None:
    assert find(Purpose.GREEN, record(Immune(unmodified=True)), *ROOMY).reason == ""
