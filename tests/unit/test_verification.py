from __future__ import annotations

import math
from dataclasses import replace

import pytest

from campaign.machine import Campaign, step
from campaign.model import (
    Disturbed,
    Evaluated,
    Event,
    Immune,
    Reading,
    Status,
    TrialRecord,
    Unresolved,
    Verdict,
)
from campaign.testing import Simulation, World, make_plan, make_profile, nobody, simulate
from campaign.verification import Measured, Proof, Run, Worst, green_run, red_run

PROFILE = replace(make_profile("p0"), breaks=("latency", "errors"))
LIMIT = 0.06


def reading(
    invariant: str, value: float | None, *, status: Status = Status.HELD, at: float = 100.0
) -> Reading:
    return Reading(invariant=invariant, status=status, value=value, limit=LIMIT, measured_at=at)


def trial(verdict: Verdict, *worst: Reading) -> TrialRecord:
    return TrialRecord(
        index=0,
        profile="p0",
        started_at=0.0,
        revision_before="abc",
        violated=tuple(one.invariant for one in worst),
        worst=worst,
        verdict=verdict,
    )


RED = trial(Unresolved(reason="did not recover"), reading("latency", 0.9), reading("errors", 0.2))
GREEN = trial(Immune())


@pytest.mark.parametrize(
    ("value", "limit", "margin"),
    [(0.02, 0.06, 3.0), (0.12, 0.06, 0.5), (0.0, 0.06, math.inf), (0.0, 0.0, math.inf), (3, 0, 0)],
)
def test_the_margin_is_the_limit_over_the_value(value: float, limit: float, margin: float) -> None:
    assert Measured(invariant="x", value=value, limit=limit).margin == pytest.approx(margin)


def test_what_was_never_measured_has_no_margin() -> None:
    assert Measured(invariant="x", value=None, limit=1.0).margin is None


def test_red_needs_every_named_invariant_violated() -> None:
    assert red_run(PROFILE, RED, ()).problem == ""
    partly = replace(RED, worst=RED.worst[:1])
    assert red_run(PROFILE, partly, ()).problem == "not violated: errors"
    assert red_run(PROFILE, partly, (reading("errors", 0.2),)).problem == ""


def test_a_value_at_its_limit_is_not_violated() -> None:
    at_limit = replace(RED, worst=(RED.worst[0], reading("errors", LIMIT)))
    assert red_run(PROFILE, at_limit, ()).problem == "not violated: errors"


def test_red_without_any_violation_says_how_the_trial_ended() -> None:
    calm = red_run(PROFILE, trial(Immune(unmodified=True)), ())
    assert calm.problem.startswith("nothing was violated: immune (the unmodified app survived")
    assert calm.verdict == "immune"


def test_green_needs_three_times_the_room() -> None:
    roomy = (reading("latency", 0.02), reading("errors", 0.0))
    assert green_run(PROFILE, GREEN, roomy).problem == ""
    tight = (reading("latency", 0.021), reading("errors", 0.0))
    assert green_run(PROFILE, GREEN, tight).problem == "less than 3x margin: latency"


def test_green_is_no_proof_when_an_invariant_was_never_measured() -> None:
    told = green_run(PROFILE, GREEN, (reading("latency", 0.0),))
    assert told.problem == "less than 3x margin: errors"


def test_green_with_a_violation_names_it() -> None:
    assert green_run(PROFILE, RED, ()).problem == "not held with the fix: latency, errors"
    lost = trial(Unresolved(reason="gave up"))
    assert green_run(PROFILE, lost, ()).problem == "not held with the fix: unresolved (gave up)"


def test_the_worst_of_all_readings_counts() -> None:
    told = green_run(
        PROFILE, GREEN, (reading("latency", 0.05), reading("latency", 0.01), reading("errors", 0))
    )
    assert told.measured[0].value == 0.05


def run(problem: str = "") -> Run:
    return Run(verdict="immune", reason="", measured=(), problem=problem)


@pytest.mark.parametrize(
    ("red", "green", "proven"),
    [
        ((run(),), (run(),), True),
        ((run(), run("x")), (run(), run()), False),
        ((run(),), (run("x"),), False),
        ((), (run(),), False),
        ((run(),), (), False),
    ],
)
def test_a_proof_needs_runs_of_both_kinds_and_no_problem(
    *, red: tuple[Run, ...], green: tuple[Run, ...], proven: bool
) -> None:
    assert Proof(profile="p0", red=red, green=green).proven is proven


def disturbed() -> Campaign:
    campaign = simulate(make_plan(1))
    phase = Disturbed(since=90.0, load_id="t0-full", applied_at=95.0)
    return campaign.evolve(phase=phase)


def look(worst: Worst, campaign: Campaign, *readings: Reading) -> None:
    event = Evaluated(at=101.0, trial=0)
    worst(campaign, event, campaign.evolve(readings=readings))


def test_readings_count_under_full_load_after_the_warm_up() -> None:
    worst, campaign = Worst(), disturbed()
    look(worst, campaign, reading("latency", 0.9, at=96.9), reading("errors", 0.1, at=97.0))
    assert set(worst.readings) == {"errors"}
    look(worst, campaign, reading("errors", 0.05), reading("latency", 0.2, status=Status.VIOLATED))
    assert {name: kept.value for name, kept in worst.readings.items()} == {
        "errors": 0.1,
        "latency": 0.2,
    }


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.IDLE])
def test_what_is_not_known_is_no_reading(status: Status) -> None:
    worst = Worst()
    look(worst, disturbed(), reading("latency", 0.9, status=status))
    assert worst.readings == {}


def test_nothing_counts_before_the_load_is_on_or_in_another_phase() -> None:
    worst, campaign = Worst(), disturbed()
    look(worst, campaign.evolve(phase=Disturbed(since=90.0, load_id="x")), reading("latency", 0.9))
    look(worst, simulate(make_plan(1)), reading("latency", 0.9))
    assert worst.readings == {}


def test_a_broken_campaign_is_red_by_what_its_observer_saw() -> None:
    plan, journal = make_plan(1), list[Event]()
    Simulation(World(plan=plan), journal, operator=nobody).run()
    worst, campaign = Worst(), None
    for event in journal:
        before, campaign = campaign, step(campaign, event).campaign
        worst(before, event, campaign)
    assert campaign is not None
    red = red_run(plan.profiles[0], campaign.done[0], worst.readings.values())
    assert (red.verdict, red.problem) == ("unresolved", "")
