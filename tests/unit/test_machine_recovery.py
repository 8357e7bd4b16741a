"""Recovering and confirming: what proves a repair."""

from __future__ import annotations

from campaign.model import ApplyLoad, CloseTrial, Inconclusive, Resolved, Unresolved
from campaign.testing import make_plan
from tests.machine_kit import Drive

BROKEN = ("p0_latency",)


def test_the_clean_period_starts_after_the_last_deployment() -> None:
    drive = Drive().to_repairing().tick(30)
    drive.deploy().resolve().end_session().tick(6)
    assert drive.phase == "recovering"
    assert drive.tick().phase == "confirming"


def test_clean_time_after_the_deployment_counts_although_the_session_went_on() -> None:
    drive = Drive().to_repairing().deploy().tick(20).resolve().end_session().tick()
    assert drive.phase == "confirming"


def test_what_was_violated_must_hold_and_not_merely_be_idle() -> None:
    drive = Drive().to_recovering().tick(61, idle=BROKEN)
    assert drive.trial.verdict == Inconclusive(
        fault="loadgen", reason="p0_latency: too little load of its kind was offered"
    )


def test_an_app_that_stays_red_is_unresolved() -> None:
    drive = Drive().to_recovering().tick(59, red=BROKEN)
    assert drive.phase == "recovering"
    assert drive.tick(red=BROKEN).trial.verdict == Unresolved(reason="did not recover: p0_latency")


def test_a_repair_that_breaks_something_else_is_unresolved() -> None:
    drive = Drive().to_recovering().tick(61, red=["canary"])
    assert drive.trial.verdict == Unresolved(reason="did not recover: canary")


def test_an_app_that_swallows_the_load_did_not_recover() -> None:
    drive = Drive().to_recovering().tick(61, swallowed=BROKEN)
    assert drive.trial.verdict == Unresolved(reason="did not recover: p0_latency")


def test_an_app_that_nobody_can_see_is_not_lost() -> None:
    drive = Drive().to_recovering().tick(61, blind=True)
    assert drive.trial.verdict == Inconclusive(fault="metrics", reason="prometheus: no answer")


def test_an_app_that_was_red_until_a_moment_ago_is_not_saved_by_a_blind_one() -> None:
    drive = Drive().to_recovering().tick(59, red=BROKEN).tick(blind=True)
    assert isinstance(drive.trial.verdict, Unresolved)


def test_blinks_of_the_metrics_are_never_the_operators_fault() -> None:
    drive = Drive().to_recovering()
    for _ in range(31):
        drive.tick().tick(blind=True)
    assert isinstance(drive.trial.verdict, Inconclusive)


def test_time_nobody_looked_at_is_not_clean() -> None:
    drive = Drive().to_recovering().tick().skip(20).tick()
    assert drive.phase == "recovering"


def test_an_app_that_is_clean_at_last_may_finish_its_clean_period() -> None:
    drive = Drive().to_recovering().tick(58, red=BROKEN).tick(6)
    assert drive.phase == "recovering"
    assert drive.tick().phase == "confirming"


def test_patience_is_counted_from_the_last_deployment() -> None:
    drive = Drive().to_repairing().request_deployment().resolve().end_session()
    drive.tick(50, red=BROKEN).finish_deployment(ok=False).tick(59, red=BROKEN)
    assert drive.phase == "recovering"
    assert drive.tick(red=BROKEN).phase == "healing"


def test_confirmation_goes_back_to_base_load_and_then_to_full_load_without_new_data() -> None:
    drive = Drive().to_confirming()
    base, full = drive.plan.base_load, drive.campaign.full_load
    assert drive.commands == (ApplyLoad(id="t0-confirm-base", trial=0, load=base),)
    drive.load_applied().tick(7)
    assert drive.commands == (ApplyLoad(id="t0-confirm-full", trial=0, load=full),)


def test_full_load_is_confirmed_for_as_long_as_the_violation_took_to_show() -> None:
    drive = Drive().to_disturbed().load_applied().tick(12).tick(5, red=BROKEN)
    assert drive.trial.time_to_detect_s == 14.0
    drive.deploy().resolve().end_session().tick(10).load_applied().tick(7).load_applied()
    assert drive.tick(19).phase == "confirming"
    assert drive.tick().phase == "auditing"


def test_a_load_that_is_confirmed_twice_does_not_restart_the_confirmation() -> None:
    drive = Drive().to_full_load().tick(5)
    drive.load_applied().tick(6)
    assert drive.phase == "auditing"


def test_a_violation_at_full_load_again_is_unresolved() -> None:
    drive = Drive().to_full_load().tick(3).tick(2, red=BROKEN)
    assert drive.trial.verdict == Unresolved(reason="violated again at full load: p0_latency")


def test_a_single_violating_evaluation_is_not_held_against_anybody_but_lengthens_the_wait() -> None:
    drive = Drive().to_full_load().tick(5).tick(1, red=BROKEN).tick(6)
    assert drive.phase == "confirming"
    assert drive.tick().phase == "auditing"


def test_an_app_that_is_never_steady_is_unresolved() -> None:
    drive = Drive().to_full_load()
    for _ in range(20):
        drive.tick(3).tick(1, red=BROKEN)
    assert drive.trial.verdict == Unresolved(reason="never steady at full load")


def test_a_confirmation_nobody_can_see_is_inconclusive() -> None:
    drive = Drive().to_full_load().tick(60, blind=True)
    assert isinstance(drive.trial.verdict, Inconclusive)
    assert drive.trial.confirmed_at is None


def test_a_confirmation_without_the_load_proves_nothing() -> None:
    drive = Drive().to_full_load().tick(60, idle=BROKEN)
    assert isinstance(drive.trial.verdict, Inconclusive)


def test_what_an_earlier_trial_had_mended_and_is_red_now_is_called_a_regression() -> None:
    drive = Drive().to_second_trial().to_full_load().tick(3).tick(2, red=["p0_latency"])
    assert drive.trial.verdict == Unresolved(reason="regression at full load: p0_latency (p0)")


def test_what_never_was_red_before_is_called_new() -> None:
    drive = Drive().to_full_load().tick(3).tick(2, red=["canary"])
    assert drive.trial.verdict == Unresolved(reason="newly violated at full load: canary")


def test_a_resolved_trial_raises_the_base_load_and_is_put_away() -> None:
    drive = Drive().to_healing()
    profile = drive.plan.profiles[0]
    raised = drive.plan.base_load + profile.ratchet
    assert drive.trial.verdict == Resolved()
    assert drive.campaign.base_load == raised
    assert drive.commands == (ApplyLoad(id="t0-heal", trial=0, load=raised), CloseTrial(trial=0))


def test_an_unresolved_trial_raises_nothing() -> None:
    drive = Drive().to_recovering().tick(61, red=BROKEN)
    assert drive.campaign.base_load == drive.plan.base_load


def test_isolated_trials_leave_no_load_to_each_other() -> None:
    drive = Drive(make_plan(2, mode="isolated")).to_healing()
    assert drive.trial.verdict == Resolved()
    assert drive.campaign.base_load == drive.plan.base_load
    assert drive.load_applied().phase == "preparing"
    assert drive.trial.revision_before == "r0"


def test_time_to_repair_excludes_the_confirmation() -> None:
    drive = Drive().to_repairing().tick(10, red=BROKEN).deploy().resolve().end_session()
    drive.tick(10)
    assert drive.trial.time_to_repair_s == 11.0
