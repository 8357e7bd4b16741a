"""Immune trials of a whole campaign: their revisions, what confers immunity, what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from campaign.errors import HarnessError, UsageError
from campaign.immunity import (
    Evidence,
    Inquiry,
    InterruptedProbeError,
    Outcome,
    Probe,
    Prober,
    immune_trials,
    rungs,
)
from campaign.machine import Campaign
from campaign.model import SessionOutcome, StartSession
from campaign.player import Performance
from campaign.rig import RigOptions
from campaign.testing import Planned, Scene, Simulation, World, make_plan, nobody, simulate

#: what the second trial's fix mends besides
MORE = {"p1": frozenset({"p1", "p3"})}


def farsighted(simulation: Simulation, command: StartSession) -> Sequence[Planned]:
    """Mends each trial's profile, and in the second one the fourth's as well."""
    scene = Scene(stage=simulation, command=command)
    profile = simulation.world.plan.profiles[command.trial].id
    return (
        scene.edit(0.5),
        scene.deploy(1.0, mends=MORE.get(profile, frozenset({profile}))),
        scene.resolve(3.1),
        scene.end(3.2, SessionOutcome.RESOLVED),
    )


@pytest.fixture(scope="module")
def world() -> World:
    return World(plan=make_plan(5))


@pytest.fixture(scope="module")
def past(world: World) -> Campaign:
    return Simulation(world, [], operator=farsighted).run()


def prober(past: Campaign, world: World, folder: Path) -> Prober:
    """Plays the profile alone in a simulated world that starts with the origin's revision."""

    async def play(performance: Performance) -> Campaign:
        plan = performance.plan
        assert plan is not None
        return Simulation(World(plan=plan, mended=world.mended), [], operator=nobody).run()

    return Prober(play=play, past=past, folder=folder, options=RigOptions())


async def test_the_trial_whose_fix_did_more_is_named(
    past: Campaign, world: World, tmp_path: Path
) -> None:
    (trial,) = immune_trials(past, None)
    assert trial.profile == "p3"
    evidence = Evidence(tmp_path / "immunity.json")
    inquiry = Inquiry(past=past, evidence=evidence)
    made: list[Probe] = []
    found = await inquiry.explain(trial, prober(past, world, tmp_path), made.append)
    assert found.conclusion.kind == "conferred"
    assert found.conferred_by is not None
    assert found.conferred_by.profile == "p1"
    assert found.told() == "trial 4 p3: immune since T002-s1-d1-r, made in trial 2 p1"
    assert found.as_json()["conferred_by"] == {
        "revision": "T002-s1-d1-rev",
        "trial": 1,
        "profile": "p1",
    }
    assert made
    assert inquiry.most_s(trial) == 0.0
    assert Evidence(tmp_path / "immunity.json").of("p3") == tuple(made)


async def test_the_matrix_is_every_profile_on_every_revision(
    past: Campaign, world: World, tmp_path: Path
) -> None:
    inquiry = Inquiry(past=past, evidence=Evidence(tmp_path / "immunity.json"))
    # As delivered, and after each of the four trials that deployed something.
    assert len(inquiry.ladder) == 5
    assert len(inquiry.cells_left) == 5 * 5
    assert inquiry.cells_s > 25 * 30
    await inquiry.fill(prober(past, world, tmp_path), lambda _: None)
    assert inquiry.cells_left == ()
    outcomes = [[probe.outcome for probe in inquiry.evidence.of(f"p{n}")] for n in range(5)]
    red, green = Outcome.VIOLATED, Outcome.IMMUNE
    assert outcomes == [
        [red, green, green, green, green],
        [red, red, green, green, green],
        [red, red, red, green, green],
        [red, red, green, green, green],
        [red, red, red, red, green],
    ]


async def test_a_stopped_probe_keeps_what_was_probed(
    past: Campaign, world: World, tmp_path: Path
) -> None:
    inquiry = Inquiry(past=past, evidence=Evidence(tmp_path / "immunity.json"))
    whole = prober(past, world, tmp_path)
    plays = 0

    async def play(performance: Performance) -> Campaign:
        nonlocal plays
        plays += 1
        campaign = await whole.play(performance)
        return campaign if plays < 3 else campaign.evolve(stopped=True)

    with pytest.raises(InterruptedProbeError):
        await inquiry.fill(replace(whole, play=play), lambda _: None)
    assert len(Evidence(tmp_path / "immunity.json").of("p0")) == 2


def test_probes_are_isolated_by_the_limits_of_the_past_campaign(
    past: Campaign, world: World, tmp_path: Path
) -> None:
    plan = prober(past, world, tmp_path)._plan("probe", past.plan.profiles[3], "r7")
    assert (plan.mode, plan.operator, plan.bare) == ("isolated", "none", True)
    assert plan.base_load == past.plan.base_load != past.base_load
    assert plan.origin is not None
    assert (plan.origin.revision, plan.origin.first_revision) == ("r7", "r0")
    assert plan.origin.calibration == past.calibration


def test_a_rung_is_made_in_the_trial_that_deployed_it(past: Campaign) -> None:
    made_in = [rung.made_in and rung.made_in.profile for rung in rungs(past)]
    assert made_in == [None, "p0", "p1", "p2", "p4"]
    assert [rung.revision for rung in rungs(past, until=1)] == ["r0", "T001-s1-d1-rev"]


def test_a_trial_that_was_not_immune_has_nothing_to_explain(past: Campaign) -> None:
    with pytest.raises(UsageError, match="ended resolved"):
        immune_trials(past, "1")
    assert [trial.profile for trial in immune_trials(past, "p3")] == ["p3"]


def test_an_isolated_campaign_has_no_earlier_revisions() -> None:
    with pytest.raises(UsageError, match="mode isolated"):
        immune_trials(simulate(make_plan(1, mode="isolated")), None)


def test_what_could_not_be_told_is_asked_again(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "immunity.json")
    evidence.add(Probe(profile="p", revision="r1", outcome=Outcome.UNCLEAR, detail="starved"))
    assert evidence.find("p", "r1") is None
    evidence.add(Probe(profile="p", revision="r1", outcome=Outcome.IMMUNE))
    found = Evidence(tmp_path / "immunity.json").find("p", "r1")
    assert found == Probe(profile="p", revision="r1", outcome=Outcome.IMMUNE)


def test_damaged_evidence_is_refused(tmp_path: Path) -> None:
    (tmp_path / "immunity.json").write_text("[{]")
    with pytest.raises(HarnessError, match="damaged"):
        Evidence(tmp_path / "immunity.json")
