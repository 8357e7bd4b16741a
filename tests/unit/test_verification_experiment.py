from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from campaign.model import Timings
from campaign.verification import Experiment, Purpose, Scope, experiments
from chaos_profiles import Catalogue
from tests.verification_kit import make_catalogue, named, purposes, with_profile


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return make_catalogue(tmp_path, 3)


def planned(catalogue: Catalogue, *, repeats: int = 1, quick: bool = False) -> list[Experiment]:
    scope = Scope(repeats=repeats, quick=quick)
    return list(experiments(catalogue, catalogue.profiles[1], scope))


def names(experiments: list[Experiment]) -> list[str]:
    return [experiment.name for experiment in experiments]


def starts(experiment: Experiment) -> list[str]:
    return [patch.parent.name for patch in experiment.start]


def test_a_quick_proof_is_red_and_green_and_nothing_else(catalogue: Catalogue) -> None:
    assert names(planned(catalogue, quick=True)) == ["red 1", "green 1"]
    assert names(planned(catalogue, quick=True, repeats=2)) == [
        "red 1",
        "red 2",
        "green 1",
        "green 2",
    ]


def test_the_hacks_trials_begin_with_the_red_runs(catalogue: Catalogue) -> None:
    found = planned(catalogue)
    assert names(found) == ["hack trick_0", "hack trick_1", "green 1", "others", "all fixes"]
    assert [experiment.red_number for experiment in found] == [1, 0, 0, 0, 0]


def test_red_runs_beyond_the_hacks_are_played_for_themselves(catalogue: Catalogue) -> None:
    found = planned(catalogue, repeats=3)
    assert purposes(found).count(Purpose.RED) == 1
    assert [e.red_number for e in found if e.red_number] == [1, 2, 3]
    assert purposes(found).count(Purpose.GREEN) == 3


def test_each_begins_with_its_fixes_in_the_ladders_order(catalogue: Catalogue) -> None:
    found = planned(catalogue)
    assert starts(named(found, "hack trick_0")) == []
    assert starts(named(found, "green 1")) == ["02_p1"]
    assert starts(named(found, "others")) == ["01_p0", "03_p2"]
    assert starts(named(found, "all fixes")) == ["01_p0", "02_p1", "03_p2"]


def test_what_masks_a_profile_is_left_out_once_more(catalogue: Catalogue) -> None:
    masked = replace(catalogue.profiles[1], masked_by=("p2",))
    found = planned(with_profile(catalogue, masked))
    assert starts(named(found, "others")) == ["01_p0", "03_p2"]
    assert starts(named(found, "unmasked")) == ["01_p0"]


def test_only_a_hack_gives_the_operator_something_to_do(catalogue: Catalogue) -> None:
    found = planned(catalogue, repeats=3)
    acting = [experiment.name for experiment in found if experiment.repair.patch is not None]
    assert acting == ["hack trick_0", "hack trick_1"]
    assert named(found, "hack trick_0").repair.patch == "changes nothing"


def test_several_invariants_are_given_time_to_show_before_a_hack_hides_them(
    catalogue: Catalogue,
) -> None:
    assert {experiment.repair.after_s for experiment in planned(catalogue)} == {0.0}
    two = replace(catalogue.profiles[1], breaks=("p1_latency", "canary"))
    found = planned(with_profile(catalogue, two))
    assert named(found, "hack trick_0").repair.after_s > 0
    assert named(found, "hack trick_1").repair.after_s == 0


def test_what_is_to_hold_is_watched_for_a_window_and_a_few_looks_only(
    catalogue: Catalogue,
) -> None:
    found, timings = planned(catalogue), Timings()
    long = replace(catalogue.profiles[1], window_s=60.0)
    for name in ("green 1", "all fixes"):
        window_s = replace(named(found, name), profile=long).played(timings).window_s
        assert window_s < 60
        assert timings.warm_up_s + window_s > timings.clean_period_s + 2 * timings.evaluation_s
    assert replace(named(found, "others"), profile=long).played(timings) == long
    short = replace(long, window_s=6.5)
    assert replace(named(found, "green 1"), profile=short).played(timings).window_s == 6.5


def test_a_hack_has_longer_than_a_client_waits_to_show_that_it_works() -> None:
    assert Scope().timings.recovery_patience_s > 5 + Scope().timings.range_s
    assert Scope(quick=True).timings.recovery_patience_s < Scope().timings.recovery_patience_s


def test_no_two_experiments_have_the_same_key(catalogue: Catalogue) -> None:
    found = [
        experiment
        for profile in catalogue.profiles
        for experiment in experiments(catalogue, profile, Scope(repeats=3))
    ]
    assert len({experiment.key for experiment in found}) == len(found)
