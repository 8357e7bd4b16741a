"""Full load: what is a violation, what is immunity, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace

from campaign.model import Evaluated, Immune, Inconclusive, StartSession
from campaign.testing import HEALTHY, make_plan
from tests.machine_kit import Drive


def disturbed() -> Drive:
    """Full load was applied just now."""
    return Drive().to_disturbed().load_applied()


def test_the_window_starts_when_the_load_is_on() -> None:
    drive = Drive().to_disturbed().tick(60)
    assert drive.phase == "disturbed"
    assert drive.load_applied().tick(16).phase == "disturbed"
    assert drive.tick().phase == "healing"


def test_two_violating_evaluations_in_a_row_open_a_ticket() -> None:
    drive = disturbed().tick(3).tick(red=["p0_latency"])
    assert drive.phase == "disturbed"
    drive.tick(red=["p0_latency"])
    assert drive.phase == "repairing"
    (command,) = drive.commands
    assert isinstance(command, StartSession)
    assert (command.ticket.id, command.session) == ("T001", 1)
    assert [symptom.invariant for symptom in command.ticket.symptoms] == ["p0_latency"]
    assert "p0" not in command.ticket.symptoms[0].title.replace("p0_latency", "")


def test_the_warm_up_counts_for_nothing() -> None:
    drive = disturbed().tick(1, red=["p0_latency"]).tick(1, red=["p0_latency"])
    assert drive.phase == "disturbed"
    assert drive.tick(red=["p0_latency"]).phase == "repairing"


def test_a_window_that_holds_some_of_the_warm_up_counts_only_when_severe() -> None:
    drive = disturbed().tick(6, mild=["p0_latency"])
    assert drive.phase == "disturbed"
    assert drive.tick(mild=["p0_latency"]).phase == "repairing"


def test_a_slow_first_second_of_a_load_is_no_violation() -> None:
    drive = disturbed().tick(2).tick(red=["p0_latency"]).tick(2, mild=["p0_latency"]).tick(30)
    assert isinstance(drive.trial.verdict, Immune)


def test_violations_that_do_not_follow_each_other_are_none() -> None:
    drive = disturbed().tick(2)
    for _ in range(7):
        drive.tick(red=["p0_latency"]).tick()
    assert drive.phase == "disturbed"
    drive.tick(5)
    assert isinstance(drive.trial.verdict, Immune)


def test_a_doubt_between_two_violations_parts_them() -> None:
    drive = disturbed().tick(3).tick(red=["p0_latency"]).tick(blind=True).tick(red=["p0_latency"])
    assert drive.phase == "disturbed"


def test_time_nobody_looked_at_parts_two_violations() -> None:
    drive = disturbed().tick(3).tick(red=["p0_latency"]).skip(8).tick(red=["p0_latency"])
    assert drive.phase == "disturbed"
    assert drive.tick(red=["p0_latency"]).phase == "repairing"


def test_one_evaluation_seen_twice_counts_once() -> None:
    drive = disturbed().tick(3).tick(red=["p0_latency"])
    again = drive.samples(red=["p0_latency"])
    for _ in range(2):
        drive.at += 0.5
        drive.send(Evaluated(at=drive.at, trial=0, samples=again, generator=HEALTHY))
    assert drive.phase == "disturbed"


def test_immunity_of_the_untouched_app_is_the_profiles_error() -> None:
    drive = disturbed().tick(30)
    assert drive.trial.verdict == Immune(unmodified=True)
    assert "profile is at fault" in drive.trial.verdict.reason


def test_immunity_of_a_mended_app_is_earned() -> None:
    drive = Drive().to_second_trial().to_disturbed().load_applied().tick(30)
    assert drive.campaign.done[0].verdict is not None
    assert drive.trial.verdict == Immune(unmodified=False)


def test_a_violation_in_the_last_evaluation_is_looked_at_once_more() -> None:
    drive = disturbed().tick(16).tick(red=["p0_latency"])
    assert drive.phase == "disturbed"
    assert drive.tick(red=["p0_latency"]).phase == "repairing"


def test_a_single_blind_moment_does_not_spoil_a_window() -> None:
    drive = disturbed().tick(8).tick(2, blind=True).tick(20)
    assert isinstance(drive.trial.verdict, Immune)


def test_too_much_in_doubt_proves_nothing() -> None:
    drive = disturbed().tick(8).tick(4, blind=True).tick(20)
    assert drive.trial.verdict == Inconclusive(fault="metrics", reason="prometheus: no answer")


def test_a_window_nobody_looked_at_proves_nothing() -> None:
    drive = disturbed().skip(40).tick()
    assert isinstance(drive.trial.verdict, Inconclusive)
    assert drive.trial.verdict.fault == "metrics"


def test_a_starved_generator_proves_nothing() -> None:
    drive = disturbed().tick(30, starved=True)
    assert isinstance(drive.trial.verdict, Inconclusive)
    assert drive.trial.verdict.fault == "loadgen"


def test_an_invariant_that_was_never_put_to_the_test_is_not_held() -> None:
    drive = disturbed().tick(40, idle=["p0_latency"])
    assert drive.trial.verdict == Inconclusive(
        fault="loadgen", reason="p0_latency: too little load of its kind was offered"
    )


def test_load_that_a_healthy_generator_offered_and_the_app_swallowed_opens_a_ticket() -> None:
    drive = disturbed().tick(40, swallowed=["p0_latency"])
    assert drive.phase == "repairing"
    assert drive.trial.violated == ("p0_latency",)


def test_the_traffic_floor_may_be_missed_until_a_whole_window_lies_under_the_load() -> None:
    drive = disturbed().tick(5, swallowed=["p0_latency"]).tick(30)
    assert isinstance(drive.trial.verdict, Immune)


def test_a_window_shorter_than_the_rules_range_is_stretched_to_it() -> None:
    plan = make_plan(1)
    profile = replace(plan.profiles[0], window_s=1.0)
    drive = Drive(replace(plan, profiles=(profile,))).to_disturbed().load_applied().tick(5)
    assert drive.phase == "disturbed"
    assert isinstance(drive.tick().trial.verdict, Immune)


def test_a_load_that_is_confirmed_twice_does_not_restart_the_window() -> None:
    drive = disturbed().tick(10)
    applied_at = drive.trial.full_load_at
    drive.load_applied("t0-full").tick(7)
    assert drive.trial.full_load_at == applied_at
    assert drive.phase == "healing"


def test_what_was_measured_during_the_warm_up_does_not_count_although_it_is_seen_later() -> None:
    drive = disturbed().tick(1).skip(0.5)
    old = drive.samples(red=["p0_latency"])
    drive.skip(1.0)
    drive.send(Evaluated(at=drive.at, trial=0, samples=old, generator=HEALTHY))
    assert drive.tick(red=["p0_latency"]).phase == "disturbed"
    assert drive.tick(red=["p0_latency"]).phase == "repairing"


def test_an_evaluation_that_comes_after_a_later_one_says_nothing() -> None:
    drive = disturbed().tick(5)
    before = drive.campaign
    drive.send(Evaluated(at=drive.at - 2.0, trial=0, missing="late"))
    assert drive.campaign == before
