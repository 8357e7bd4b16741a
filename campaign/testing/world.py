"""A simulated world: what is out there and outlives the controller."""

from __future__ import annotations

from dataclasses import dataclass, field

from campaign.model import (
    Calibration,
    GeneratorHealth,
    Invariant,
    LoadDimension,
    LoadVector,
    Plan,
    Profile,
    Sample,
    Snapshot,
)
from campaign.testing.gates import ScriptedAudit

CALIBRATION = Calibration(healthy_p95_s=0.004, throughput_ratio=1.0, commit_s=0.001, rate_scale=1.0)
HEALTHY = GeneratorHealth(lag_s=0.002, cpu_ratio=0.2)
STARVED = GeneratorHealth(lag_s=2.0, cpu_ratio=1.0)

#: a violation shows this long after the load that causes it, and is gone this long after a fix
ONSET_S = 3.0
RELIEF_S = 2.0

#: between two times, epoch seconds
Span = tuple[float, float]


def make_invariant(name: str) -> Invariant:
    return Invariant(
        id=name,
        title=f"{name} stays low",
        kind="performance",
        unit="ratio",
        value="v",
        limit=0.05,
        samples="s",
        offered="o",
        min_offered=10.0,
        sources=("loadgen",),
    )


def make_profile(name: str, *, breaks: str | None = None, window_s: float = 15.0) -> Profile:
    """A profile that breaks an invariant of its own unless told otherwise."""
    load = (LoadDimension(behaviour=name, users=10, rate_hz=1.0),)
    return Profile(
        id=name,
        title=name,
        category="query",
        symptom=f"{name} is slow",
        anti_patterns=(),
        load=load,
        growth={"rows": 10},
        breaks=(breaks or f"{name}_latency",),
        window_s=window_s,
        ratchet=(LoadDimension(behaviour=name, users=1, rate_hz=0.5),),
    )


def make_plan(count: int = 4, *, mode: str = "continuous", operator: str = "reference") -> Plan:
    profiles = tuple(make_profile(f"p{number}") for number in range(count))
    return Plan(
        campaign="simulated",
        target="simulated",
        mode="isolated" if mode == "isolated" else "continuous",
        operator=operator,
        seed=1,
        profiles=profiles,
        invariants=(
            make_invariant("canary"),
            *(make_invariant(profile.breaks[0]) for profile in profiles),
        ),
        base_load=(LoadDimension(behaviour="base", users=12, rate_hz=0.5),),
    )


@dataclass(slots=True)
class World:
    """Database, git, supervisor, generator and metrics in one."""

    plan: Plan
    revision: str = "r0"
    load: LoadVector = ()
    load_since: float = 0.0
    healed_at: float = 0.0
    #: profiles whose anti-pattern is mended, by revision
    mended: dict[str, frozenset[str]] = field(default_factory=lambda: {"r0": frozenset()})
    #: how often each growth really added rows, and each deployment really switched
    grown: dict[str, int] = field(default_factory=dict)
    deployed: dict[str, str] = field(default_factory=dict)
    switches: list[str] = field(default_factory=list)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    #: trials whose remains are kept
    closed: set[int] = field(default_factory=set)
    #: what the gates find, by trial; all is well where nothing is said
    findings: dict[int, ScriptedAudit] = field(default_factory=dict)
    #: the audits that were begun, oldest first
    audits: list[str] = field(default_factory=list)
    #: when metrics cannot be had, and when the generator cannot keep its schedule
    blind: list[Span] = field(default_factory=list)
    starved: list[Span] = field(default_factory=list)
    #: when an invariant is violated whatever the app does, by its id
    red: dict[str, list[Span]] = field(default_factory=dict)

    def grow(self, growth_id: str) -> None:
        self.grown.setdefault(growth_id, 0)
        if not self.grown[growth_id]:
            self.grown[growth_id] += 1

    def take_snapshot(self, snapshot: str) -> Snapshot:
        """Only with the load off, and only once: what is there under the id stays."""
        assert self.load == ()  # noqa: S101 - this world is for tests
        return self.snapshots.setdefault(
            snapshot,
            Snapshot(
                id=snapshot,
                size_bytes=1000,
                added_bytes=100,
                contents=f"{self.revision} {sorted(self.grown)}",
                duration_s=1.0,
            ),
        )

    def apply(self, load: LoadVector, *, at: float) -> None:
        if load != self.load:
            self.load, self.load_since = load, at

    def deploy(self, deployment: str, revision: str, mends: frozenset[str], *, at: float) -> None:
        if deployment in self.deployed:
            return
        self.mended[revision] = self.mended[self.revision] | mends
        self.revision = revision
        self.deployed[deployment] = revision
        self.switches.append(deployment)
        self.healed_at = at

    def fresh(self) -> None:
        origin = self.plan.origin
        self.revision = "r0" if origin is None else origin.revision
        self.load, self.grown = (), {}

    def begin_audit(self, trial: int, audit: str) -> ScriptedAudit:
        self.audits.append(audit)
        return self.findings.get(trial, ScriptedAudit())

    def generator(self, at: float) -> GeneratorHealth:
        return STARVED if _within(self.starved, at) else HEALTHY

    def samples(self, at: float) -> tuple[Sample, ...]:
        if _within(self.blind, at):
            return ()
        return tuple(self._sample(invariant, at) for invariant in self.plan.invariants)

    def _sample(self, invariant: Invariant, at: float) -> Sample:
        value = 0.8 if self._is_violated(invariant, at) else 0.0
        return Sample(
            invariant=invariant.id, value=value, samples=40.0, offered=40.0, measured_at=at
        )

    def _is_on(self, profile: Profile) -> bool:
        return all(dimension in self.load for dimension in profile.load)

    def _is_violated(self, invariant: Invariant, at: float) -> bool:
        if _within(self.red.get(invariant.id, []), at):
            return True
        mended = self.mended[self.revision]
        for profile in self.plan.profiles:
            if invariant.id not in profile.breaks or not self._is_on(profile):
                continue
            if profile.id not in mended:
                return at >= self.load_since + ONSET_S
            if at < self.healed_at + RELIEF_S:
                return True
        return False


def _within(spans: list[Span], at: float) -> bool:
    return any(start <= at < end for start, end in spans)
