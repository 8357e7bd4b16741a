"""What a replay begins with, and when it is the same failure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.choices import Choices
from campaign.errors import UsageError
from campaign.machine import Campaign, fold, step
from campaign.model import (
    CampaignStarted,
    Event,
    Immune,
    Plan,
    PrepareStack,
    SnapshotTaken,
    StackReady,
    Symptom,
    Ticket,
    TrialRecord,
)
from campaign.replay import Comparison, compare, plan_of, recorded
from campaign.testing import CALIBRATION, Simulation, World, make_plan
from tests.machine_kit import Drive


def journal_of(plan: Plan) -> list[Event]:
    events: list[Event] = []
    Simulation(World(plan=plan), events, begin_at=1_000.0).run()
    return events


@pytest.fixture(scope="module")
def journal() -> list[Event]:
    return journal_of(replace(make_plan(3), snapshots=True))


def at_snapshot(journal: list[Event], trial: int) -> Campaign:
    end = next(
        number
        for number, event in enumerate(journal, start=1)
        if isinstance(event, SnapshotTaken) and event.trial == trial
    )
    campaign = fold(journal[:end])
    assert campaign is not None
    return campaign


def test_a_replay_begins_where_the_trial_began(journal: list[Event]) -> None:
    then = at_snapshot(journal, 2)
    plan = plan_of(recorded(journal, "3"), campaign="again", operator="none")
    assert (plan.campaign, plan.mode, plan.operator) == ("again", "replay", "none")
    assert plan.profiles == (then.plan.profiles[2],)
    assert plan.base_load == then.base_load != then.plan.base_load
    assert plan.origin is not None
    assert plan.origin.revision == then.revision != plan.origin.first_revision == "r0"
    assert plan.origin.calibration == CALIBRATION
    assert (plan.origin.trial, plan.origin.snapshot) == (2, "t2-snapshot")
    assert not plan.snapshots


def test_a_trial_can_be_named_by_its_profile(journal: list[Event]) -> None:
    assert recorded(journal, "p1") == recorded(journal, "2")


def test_the_operator_is_the_recorded_one_unless_another_is_named(journal: list[Event]) -> None:
    assert plan_of(recorded(journal, "1"), campaign="x", operator=None).operator == "reference"


@pytest.mark.parametrize("wanted", ["0", "4", "p7", ""])
def test_a_trial_that_was_not_played_is_refused(journal: list[Event], wanted: str) -> None:
    with pytest.raises(UsageError, match="has played no trial"):
        recorded(journal, wanted)


def test_a_campaign_without_snapshots_cannot_be_replayed() -> None:
    with pytest.raises(UsageError, match="--no-snapshots"):
        recorded(journal_of(make_plan(1)), "1")


def test_a_trial_that_started_afresh_has_no_past_to_go_back_to() -> None:
    with pytest.raises(UsageError, match="mode isolated") as refusal:
        recorded(journal_of(make_plan(1, mode="isolated")), "1")
    assert refusal.value.hint == "play it alone: ratchet trial p0"


def test_why_a_snapshot_is_missing_is_told(journal: list[Event]) -> None:
    cut = next(n for n, event in enumerate(journal) if isinstance(event, SnapshotTaken))
    with pytest.raises(UsageError, match="never got as far"):
        recorded(journal[:cut], "1")


def test_a_replay_starts_with_the_recorded_code_and_is_not_unmodified() -> None:
    journal = journal_of(replace(make_plan(2), snapshots=True))
    plan = plan_of(recorded(journal, "2"), campaign="again", operator="none")
    campaign, commands = step(None, CampaignStarted(at=1.0, plan=plan))
    assert commands == (PrepareStack(trial=0, fresh=True, revision=None),)
    assert plan.origin is not None
    campaign, _ = step(
        campaign,
        StackReady(
            at=2.0,
            trial=0,
            revision=plan.origin.revision,
            invariants=plan.invariants,
            calibration=CALIBRATION,
        ),
    )
    assert campaign.phase.kind == "baseline"
    assert campaign.trial.revision_before == plan.origin.revision
    assert campaign.first_revision == "r0"


def test_a_replay_of_a_trial_that_began_red_begins_red() -> None:
    plan = plan_of(
        recorded(journal_of(replace(make_plan(2), snapshots=True)), "2"),
        campaign="again",
        operator="none",
    )
    drive = Drive(plan).stack_ready().load_applied().tick(40, red=["canary"])
    assert drive.phase == "growing"
    assert drive.trial.baseline_red == ("canary",)


def test_a_replay_asks_no_script_for_a_plan(journal: list[Event]) -> None:
    past = recorded(journal, "1")
    with pytest.raises(UsageError, match="--plan-mode cannot be kept"):
        plan_of(past, campaign="x", operator=None, choices=Choices(plan_mode=True))


# -- the same failure? ---------------------------------------------------------------------------


def trial(*violated: str, ticket_for: tuple[str, ...] = ()) -> TrialRecord:
    symptoms = tuple(
        Symptom(invariant=name, title=name, value=1.0, limit=0.5, since=0.0) for name in ticket_for
    )
    ticket = Ticket(id="T001", opened_at=0.0, symptoms=symptoms, offered_hz=1.0, users=1)
    return TrialRecord(
        index=0,
        profile="p0",
        started_at=0.0,
        revision_before="r0",
        violated=violated,
        ticket=ticket if violated else None,
        verdict=Immune(),
    )


def compared(before: TrialRecord, after: TrialRecord) -> Comparison:
    return compare(before, after)


def test_the_same_invariant_again_is_the_same_failure() -> None:
    before = trial("latency", "errors", ticket_for=("latency",))
    comparison = compared(before, trial("latency", ticket_for=("latency",)))
    assert comparison.same
    assert comparison.told() == "violated again: latency"


def test_only_what_followed_from_the_failure_is_not_the_same() -> None:
    comparison = compared(
        trial("latency", "errors", ticket_for=("latency",)), trial("errors", ticket_for=("errors",))
    )
    assert not comparison.same
    assert comparison.told() == "recorded was latency, errors, violated now was errors"


def test_nothing_is_the_same_as_nothing_only() -> None:
    assert compared(trial(), trial()).same
    assert not compared(trial(), trial("latency", ticket_for=("latency",))).same
    assert not compared(trial("latency", ticket_for=("latency",)), trial()).same


def test_a_comparison_is_told_as_json() -> None:
    told = compared(trial(), trial()).as_json()
    assert told == {"recorded": (), "replayed": (), "detected": (), "same": True}
