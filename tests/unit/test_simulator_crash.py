"""A controller may die at any moment, again and again: what is played comes out the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from campaign.machine import Campaign, fold
from campaign.model import (
    Budget,
    DeploymentFinished,
    DeploymentRequested,
    Event,
    Finished,
    Plan,
    SessionOutcome,
    StartSession,
    Timings,
)
from campaign.testing import (
    SESSION_COST,
    Crashed,
    Planned,
    Scene,
    Script,
    ScriptedAudit,
    Simulation,
    World,
    away,
    erring,
    failing,
    idler,
    make_plan,
    mender,
    sleeper,
    spender,
)

#: for each operator, each before and after the journal was written: 320 in all
KILL_POINTS = 80


def plan() -> Plan:
    timings = Timings(recovery_patience_s=20.0)
    return replace(make_plan(4), timings=timings, budget=Budget(wall_s=20.0))


def farsighted(simulation: Simulation, command: StartSession) -> Sequence[Planned]:
    """Mends what the third trial would expose together with the first's."""
    scene = Scene(stage=simulation, command=command)
    return (
        scene.edit(0.5),
        scene.deploy(1.0, mends=frozenset({"p0", "p2"})),
        scene.resolve(3.1),
        scene.end(3.2, SessionOutcome.RESOLVED),
    )


def mixed(simulation: Simulation, command: StartSession) -> Sequence[Planned]:
    """Mends two at once, changes nothing to the good, and does nothing at all."""
    scripts: dict[int, Script] = {0: farsighted, 1: idler, 3: sleeper}
    return scripts[command.trial](simulation, command)


@dataclass(slots=True)
class Lives:
    """One campaign over several lives of its controller."""

    operator: Script
    world: World = field(default_factory=lambda: World(plan=plan()))
    journal: list[Event] = field(default_factory=list)

    def live(self, *, seed: int = 0, lose_after: int | None = None, torn: bool = False) -> bool:
        """One life; False when it was cut short."""
        simulation = Simulation(self.world, self.journal, operator=self.operator, seed=seed)
        try:
            simulation.run(lose_after=lose_after, torn=torn)
        except Crashed:
            return False
        return True

    @property
    def campaign(self) -> Campaign:
        folded = fold(self.journal)
        assert folded is not None
        return folded


def undisturbed(operator: Script) -> Lives:
    lives = Lives(operator=operator)
    assert lives.live()
    return lives


def assert_same_outcome(lives: Lives, reference: Lives) -> None:
    campaign = lives.campaign
    assert isinstance(campaign.phase, Finished)
    assert campaign.phase.failure == ""
    assert verdicts(campaign) == verdicts(reference.campaign)
    assert [record.index for record in campaign.done] == [0, 1, 2, 3]
    assert campaign.base_load == reference.campaign.base_load


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - seeded on purpose


def verdicts(campaign: Campaign) -> list[tuple[str, str]]:
    return [(r.verdict.kind, r.verdict.reason) for r in campaign.done if r.verdict]


def assert_journal_is_world(lives: Lives) -> None:
    """Nothing happened that the journal does not know, and nothing happened twice."""
    campaign, world = lives.campaign, lives.world
    assert world.grown == {f"t{trial}-growth": 1 for trial in range(4)}
    assert len(world.switches) == len(set(world.switches))
    asked = [e.deployment for e in lives.journal if isinstance(e, DeploymentRequested)]
    ended = [e.deployment for e in lives.journal if isinstance(e, DeploymentFinished)]
    assert len(asked) == len(set(asked))
    assert sorted(ended) == sorted(asked)
    succeeded = [each.id for record in campaign.done for each in record.deployments if each.ok]
    assert succeeded == world.switches
    assert campaign.revision == world.revision
    assert campaign.load == world.load
    assert world.closed == {0, 1, 2, 3}


@pytest.mark.parametrize("operator", [mender, mixed], ids=["mender", "mixed"])
def test_an_undisturbed_campaign_is_what_its_journal_says(operator: Script) -> None:
    lives = undisturbed(operator)
    assert_journal_is_world(lives)


def test_the_mixed_campaign_has_a_verdict_of_every_kind_an_operator_can_earn() -> None:
    kinds = [kind for kind, _ in verdicts(undisturbed(mixed).campaign)]
    assert kinds == ["resolved", "unresolved", "immune", "unresolved"]


@pytest.mark.parametrize("operator", [mender, mixed], ids=["mender", "mixed"])
@pytest.mark.parametrize("torn", [False, True], ids=["after the journal", "before the journal"])
def test_a_crash_at_any_event_changes_no_verdict(operator: Script, *, torn: bool) -> None:
    reference = undisturbed(operator)
    length = len(reference.journal)
    chosen = _chance(7).sample(range(2, length), min(KILL_POINTS, length - 2))
    for point in chosen:
        lives = Lives(operator=operator)
        assert not lives.live(lose_after=point, torn=torn)
        assert lives.live(seed=point)
        assert_same_outcome(lives, reference)
        assert_journal_is_world(lives)


@pytest.mark.parametrize("operator", [mender, mixed], ids=["mender", "mixed"])
def test_many_crashes_in_one_campaign_change_no_verdict(operator: Script) -> None:
    reference = undisturbed(operator)
    for seed in range(30):
        chance = _chance(seed)
        lives = Lives(operator=operator)
        for life in range(chance.randint(2, 8)):
            point = len(lives.journal) + chance.randint(2, 40)
            if lives.live(seed=life, lose_after=point, torn=chance.random() < 0.5):
                break
        lives.live(seed=seed)
        assert_same_outcome(lives, reference)
        assert_journal_is_world(lives)


@pytest.mark.parametrize("torn", [False, True], ids=["after the journal", "before the journal"])
@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (ScriptedAudit(), "resolved"),
        (failing("healthy"), "unresolved"),
        (erring("healthy"), "inconclusive"),
        (ScriptedAudit(hangs=True), "inconclusive"),
        (ScriptedAudit(breaks=KeyError("oops")), "inconclusive"),
    ],
    ids=["well", "fails", "errs", "hangs", "breaks"],
)
def test_a_crash_at_any_moment_of_an_audit_changes_nothing(
    found: ScriptedAudit, kind: str, *, torn: bool
) -> None:
    reference = audited(found)
    assert reference.live()
    assert verdicts(reference.campaign)[1][0] == kind
    for point in moments_of("auditing", reference.journal):
        lives = audited(found)
        assert not lives.live(lose_after=point, torn=torn)
        assert lives.live(seed=point)
        assert_same_outcome(lives, reference)
        assert_journal_is_world(lives)
        assert len(lives.world.audits) == len(set(lives.world.audits))


def audited(found: ScriptedAudit) -> Lives:
    """In the second trial the gates find this."""
    return Lives(operator=mender, world=World(plan=plan(), findings={1: found}))


def moments_of(phase: str, journal: list[Event]) -> list[int]:
    """How many events the journal holds while the second trial is in the phase."""
    states = [fold(journal[:count]) for count in range(1, len(journal) + 1)]
    return [
        count
        for count, state in enumerate(states, start=1)
        if state is not None and (state.phase.kind, state.trial.index) == (phase, 1)
    ]


def test_a_controller_that_dies_at_every_single_event_still_gets_through_its_start() -> None:
    """Dying right after each resume must neither lose nor repeat anything."""
    lives = Lives(operator=mender)
    for point in range(2, 60):
        lives.live(seed=point, lose_after=len(lives.journal) + 1)
    assert lives.live()
    assert_same_outcome(lives, undisturbed(mender))
    assert_journal_is_world(lives)


@pytest.mark.parametrize("torn", [False, True], ids=["after the journal", "before the journal"])
def test_a_crash_at_any_moment_of_an_operators_absence_changes_no_verdict(*, torn: bool) -> None:
    """Away on each ticket once: four stops, and as many resumes, with a crash among them."""
    reference = Lives(operator=away)
    resumes(reference)
    assert [kind for kind, _ in verdicts(reference.campaign)] == ["resolved"] * 4
    for point in moments_of("repairing", reference.journal):
        lives = Lives(operator=away)
        while lives.live(seed=point, lose_after=point, torn=torn):
            assert not lives_over(lives)
        resumes(lives)
        assert_same_outcome(lives, reference)
        assert_journal_is_world(lives)


def lives_over(lives: Lives) -> bool:
    return isinstance(lives.campaign.phase, Finished)


def resumes(lives: Lives) -> None:
    """Resumed as often as it stops: at most once a trial."""
    for _ in range(5):
        assert lives.live()
        if lives_over(lives):
            return
    raise AssertionError(lives.campaign.phase)


def test_what_was_spent_before_a_kill_is_counted_once() -> None:
    reference = undisturbed(spender)
    assert {record.spend for record in reference.campaign.done} == {SESSION_COST}
    for point in moments_of("repairing", reference.journal):
        lives = Lives(operator=spender)
        assert not lives.live(lose_after=point)
        noted = lives.campaign.trial.spends
        assert lives.live(seed=point)
        killed, *later = lives.campaign.done[1].spends
        if later:
            assert (killed,) == noted
            assert later == [SESSION_COST]
        else:
            assert killed in (*noted, SESSION_COST)
