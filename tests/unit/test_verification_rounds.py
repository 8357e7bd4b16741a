"""Whole proofs in a simulated world: what is played, judged, and tried once more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from campaign.model import LatencyLimit
from campaign.rig import RigOptions
from campaign.testing import failing
from campaign.verification import (
    Ended,
    Finding,
    Proofs,
    Purpose,
    Scope,
    Stage,
    experiments,
    play_all,
)
from chaos_profiles import Catalogue
from tests.verification_kit import MENDS, Lab, make_catalogue, make_spec, plan_of


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return make_catalogue(tmp_path)


async def prove(
    catalogue: Catalogue, lab: Lab, scope: Scope | None = None
) -> tuple[Proofs, Ended, list[Finding]]:
    scope = scope or Scope(repeats=1)
    spec = make_spec(catalogue)
    proofs = Proofs({p.id: experiments(catalogue, p, scope) for p in catalogue.profiles})
    told: list[Finding] = []

    def on_findings(findings: tuple[Finding, ...]) -> None:
        proofs.add(findings)
        told.extend(findings)

    stage = Stage(
        play=lab.play, folder=Path("nowhere"), spec=spec, scope=scope, options=RigOptions()
    )
    ended = await play_all(stage, proofs.experiments, on_findings=on_findings)
    return proofs, ended, told


async def test_sound_profiles_are_proven_on_one_stack(catalogue: Catalogue) -> None:
    lab = Lab()
    proofs, ended, told = await prove(catalogue, lab)
    assert [proof.problems for proof in proofs.all] == [(), ()]
    assert proofs.proven
    assert not ended.stopped
    assert ended.calibration is not None
    assert len(lab.performances) == 1
    assert len(told) == 2 * (len(("red", "green", "others", "all fixes")) + 2)
    assert {finding.attempt for finding in told} == {1}
    assert all(finding.duration_s > 0 for finding in told)


async def test_a_quick_proof_is_bare(catalogue: Catalogue) -> None:
    lab = Lab()
    proofs, _, told = await prove(catalogue, lab, Scope(repeats=1, quick=True))
    assert proofs.proven
    assert [finding.name for finding in told] == ["red 1", "green 1"] * 2
    assert [profile.id for profile in plan_of(lab.performances[0]).profiles] == [
        "p0",
        "p0",
        "p1",
        "p1",
    ]


async def test_every_trial_is_isolated_and_begins_as_its_experiment_says(
    catalogue: Catalogue,
) -> None:
    lab = Lab()
    await prove(catalogue, lab, Scope(repeats=1, quick=True))
    (performance,) = lab.performances
    assert plan_of(performance).mode == "isolated"
    assert plan_of(performance).operator == "reference"
    assert {trial: paths[0].parent.name for trial, paths in performance.options.starts.items()} == {
        1: "01_p0",
        3: "02_p1",
    }
    assert {repair.patch for repair in performance.repairs.values()} == {None}


async def test_a_fix_that_mends_nothing_disproves_the_profile(catalogue: Catalogue) -> None:
    catalogue.fix_patch(catalogue.profiles[1]).write_text("changes nothing")
    proofs, _, _ = await prove(catalogue, Lab())
    assert [proof.proven for proof in proofs.all] == [True, False]
    assert proofs.all[1].problems == (
        "green 1: not held: p1_latency (0.8)",
        "all fixes: not held: p1_latency (0.8)",
    )


async def test_a_hack_that_is_taken_for_a_repair_disproves_the_profile(
    catalogue: Catalogue,
) -> None:
    (hack, _) = catalogue.hacks(catalogue.profiles[0])
    hack.write_text(MENDS)
    lab = Lab()
    proofs, _, told = await prove(catalogue, lab)
    assert proofs.all[0].problems == ("hack trick_0: taken for a repair: nothing caught it",)
    # It was confirmed before it was believed.
    assert [plan_of(performance).bare for performance in lab.performances] == [True, False]
    assert [f.attempt for f in told if f.name == "hack trick_0" and f.profile == "p0"] == [1, 2]


async def test_a_hack_that_the_gates_refuse_is_caught_by_them(catalogue: Catalogue) -> None:
    (hack, _) = catalogue.hacks(catalogue.profiles[0])
    hack.write_text(MENDS)
    refusing = failing("search_finds_needles", gate="correct")
    proofs, _, _ = await prove(catalogue, Lab(audits={0: refusing}))
    assert proofs.proven
    caught = proofs.all[0].of(Purpose.HACK)[0].caught
    assert caught is not None
    assert caught.by == "gate"
    assert caught.what.startswith("correct: search_finds_needles: ")


async def test_a_hack_that_changes_nothing_is_caught_by_the_invariant(catalogue: Catalogue) -> None:
    proofs, _, _ = await prove(catalogue, Lab())
    caught = proofs.all[0].of(Purpose.HACK)[0].caught
    assert caught is not None
    assert (caught.by, caught.what) == ("invariant", "did not recover: p0_latency")


async def test_what_the_harness_spoils_is_tried_once_more(catalogue: Catalogue) -> None:
    lab = Lab(starved=frozenset({1}))
    proofs, _, told = await prove(catalogue, lab, Scope(repeats=1, quick=True))
    assert proofs.proven
    assert [finding.attempt for finding in told] == [1] * 4 + [2] * 4
    assert {finding.unknown for finding in told[:4]} == {True}
    assert [performance.run.name for performance in lab.performances] == ["round-1", "round-2"]


async def test_what_is_spoilt_twice_is_not_proven(catalogue: Catalogue) -> None:
    lab = Lab(starved=frozenset({1, 2}))
    proofs, ended, _ = await prove(catalogue, lab, Scope(repeats=1, quick=True))
    assert len(lab.performances) == 2
    assert not ended.stopped
    assert not proofs.proven
    assert all("inconclusive by loadgen" in proof.problems[0] for proof in proofs.all)


async def test_the_rest_is_played_when_the_harness_gives_up(catalogue: Catalogue) -> None:
    lab = Lab(gives_up={1: 1})
    proofs, ended, told = await prove(catalogue, lab, Scope(repeats=1, quick=True))
    assert not ended.stopped
    assert proofs.proven
    (spoilt,) = (finding for finding in told if finding.unknown)
    assert (spoilt.profile, spoilt.name) == ("p0", "green 1")
    assert spoilt.problem == "the harness failed: postgres: gone"
    names = [profile.id for profile in plan_of(lab.performances[1]).profiles]
    assert names == ["p1", "p1", "p0"]


async def test_a_harness_that_always_gives_up_ends_it_all_the_same(catalogue: Catalogue) -> None:
    lab = Lab(gives_up=dict.fromkeys(range(1, 100), 0))
    proofs, ended, _ = await prove(catalogue, lab, Scope(repeats=1, quick=True))
    assert not ended.stopped
    assert len(lab.performances) == 8  # each of the four experiments twice
    assert all("the harness failed" in proof.problems[0] for proof in proofs.all)


async def test_a_stop_keeps_what_was_found_so_far(catalogue: Catalogue) -> None:
    lab = Lab(stopped={1: 2})
    proofs, ended, _ = await prove(catalogue, lab, Scope(repeats=1, quick=True))
    assert ended.stopped
    assert len(lab.performances) == 1
    assert [proof.proven for proof in proofs.all] == [True, False]
    assert proofs.all[1].problems == ("red 1: not played", "green 1: not played")


async def test_each_latency_is_measured_beside_being_judged(
    catalogue: Catalogue,
) -> None:
    slow, other = (
        replace(one, latency=LatencyLimit(floor_s=0.1, times_calibrated=20), select='a="b"')
        for one in catalogue.invariants[:2]
    )
    catalogue = replace(catalogue, invariants=(slow, other, *catalogue.invariants[2:]))
    lab = Lab()
    await prove(catalogue, lab, Scope(repeats=1, quick=True))
    added = plan_of(lab.performances[0]).invariants[len(catalogue.invariants) :]
    assert [one.id for one in added] == ["canary_p95", "p0_latency_p95"]
