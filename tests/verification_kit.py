"""Profiles, patches and a laboratory for proofs: the real core in a simulated world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from campaign.machine import Campaign, step
from campaign.model import Budget, Event, LoadDimension, Plan, Profile, StartSession, Timings
from campaign.player import Performance
from campaign.testing import (
    Planned,
    Script,
    ScriptedAudit,
    Simulation,
    World,
    idler,
    make_invariant,
    make_profile,
    mender,
    nobody,
)
from campaign.verification import Experiment, Purpose
from chaos_profiles import CampaignSpec, Catalogue, LedgerQueries, Target, short_name

#: what a patch says that would mend its profile in the simulated world
MENDS = "mends"


def make_catalogue(root: Path, count: int = 2, *, hacks: int = 2) -> Catalogue:
    """Profiles p0, p1, … with their fixes, and hacks that change nothing."""
    profiles = tuple(make_profile(f"p{number}") for number in range(count))
    folders = {p.id: root / f"{number:02d}_{p.id}" for number, p in enumerate(profiles, start=1)}
    for folder in folders.values():
        (folder / "hacks").mkdir(parents=True)
        (folder / "fix.patch").write_text(MENDS)
        for number in range(hacks):
            (folder / "hacks" / f"trick_{number}.patch").write_text("changes nothing")
    target = Target(
        name="simulated",
        folder=root,
        app_dir=root,
        command=("true",),
        health_path="/",
        requirements="requirements.txt",
        clients="loadgen.simulated",
        database="d",
        role="r",
        behaviours={},
        base_load=(LoadDimension(behaviour="base", users=12, rate_hz=0.5),),
        ledger=LedgerQueries(messages="", usage=""),
    )
    invariants = (make_invariant("canary"), *(make_invariant(p.breaks[0]) for p in profiles))
    return Catalogue(target=target, invariants=invariants, profiles=profiles, folders=folders)


def make_spec(catalogue: Catalogue) -> CampaignSpec:
    return CampaignSpec(
        catalogue=catalogue,
        operator="reference",
        mode="isolated",
        seed=1,
        profiles=catalogue.profiles,
        base_load=catalogue.target.base_load,
        timings=Timings(),
        budget=Budget(),
    )


def with_profile(catalogue: Catalogue, profile: Profile) -> Catalogue:
    """The catalogue with `profile` in place of the one of its name."""
    profiles = tuple(profile if p.id == profile.id else p for p in catalogue.profiles)
    return replace(catalogue, profiles=profiles)


def named(experiments: Sequence[Experiment], name: str) -> Experiment:
    (found,) = (experiment for experiment in experiments if experiment.name == name)
    return found


def purposes(experiments: Sequence[Experiment]) -> list[Purpose]:
    return [experiment.purpose for experiment in experiments]


@dataclass(slots=True)
class _LabWorld(World):
    """A world whose trials begin with patches, as a rig's do."""

    starts: Mapping[int, Sequence[Path]] = field(default_factory=dict)
    begun: int = 0

    def fresh(self) -> None:
        World.fresh(self)
        patches = self.starts.get(self.begun, ())
        self.revision = f"start-{self.begun}"
        self.mended[self.revision] = frozenset(
            short_name(patch.parent.name) for patch in patches if patch.read_text() == MENDS
        )
        self.begun += 1


@dataclass(slots=True)
class Lab:
    """Plays performances; what goes wrong is said by the number of the performance, from 1."""

    #: what the gates find, by trial
    audits: Mapping[int, ScriptedAudit] = field(default_factory=dict)
    #: the load generator is starved for the whole of these performances
    starved: frozenset[int] = frozenset()
    #: the harness gives up in these, after so many trials
    gives_up: Mapping[int, int] = field(default_factory=dict)
    #: somebody stops these, after so many trials
    stopped: Mapping[int, int] = field(default_factory=dict)
    performances: list[Performance] = field(default_factory=list)

    async def play(self, performance: Performance) -> Campaign:
        """Implements `Player`."""
        self.performances.append(performance)
        number = len(self.performances)
        assert performance.plan is not None
        world = _LabWorld(
            plan=performance.plan, starts=performance.options.starts, findings=dict(self.audits)
        )
        if number in self.starved:
            world.starved = [(0.0, 1e9)]
        journal: list[Event] = []
        Simulation(world, journal, operator=_by_the_book(performance)).run()
        trials = self.stopped.get(number, self.gives_up.get(number))
        campaign = _replay(performance, journal, trials)
        if trials is not None:
            trouble = "postgres: gone" if number in self.gives_up else ""
            campaign = campaign.evolve(stopped=True, trouble=trouble)
        return campaign


def _by_the_book(performance: Performance) -> Script:
    def script(stage: Simulation, command: StartSession) -> Sequence[Planned]:
        patch = performance.repairs[command.trial].patch
        if patch is None:
            return nobody(stage, command)
        return (mender if patch == MENDS else idler)(stage, command)

    return script


def _replay(performance: Performance, journal: Sequence[Event], trials: int | None) -> Campaign:
    """What the observers see; of the first `trials` trials only, when given."""
    campaign: Campaign | None = None
    for event in journal:
        before, after = campaign, step(campaign, event).campaign
        if trials is not None and len(after.done) > trials:
            break
        campaign = after
        for observer in performance.observers:
            observer(before, event, after)
    assert campaign is not None
    return campaign


def plan_of(performance: Performance) -> Plan:
    assert performance.plan is not None
    return performance.plan
