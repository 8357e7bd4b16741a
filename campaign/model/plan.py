"""What a campaign is going to do: fixed at its start and journaled as its first event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from campaign.model.invariant import GeneratorLimits, Invariant
from campaign.model.load import LoadVector
from campaign.model.operator import OperatorOptions
from campaign.model.profile import Profile
from campaign.model.ticket import Budget, CampaignBudget

#: how a ladder can be played; a replay is of one trial
LadderMode: TypeAlias = Literal["continuous", "isolated"]
Mode: TypeAlias = LadderMode | Literal["replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """The clockwork, in seconds. Periods that follow from the rules are derived, never set."""

    range_s: float = 4.0
    scrape_s: float = 1.0
    evaluation_s: float = 1.0
    warm_up_s: float = 2.0
    #: how long a red baseline is waited for before the trial goes on (or is given up)
    baseline_patience_s: float = 30.0
    #: how long an app may take to be green after the last deployment
    recovery_patience_s: float = 60.0
    #: an assertion of a gate that takes longer has failed: it waited for the app too often
    assertion_s: float = 12.0

    @property
    def clean_period_s(self) -> float:
        """After this long all of every window lies behind the moment it is counted from."""
        return self.range_s + self.scrape_s + self.evaluation_s

    @property
    def freshness_s(self) -> float:
        """A sample older than this is no data: one evaluation may be missed, two may not."""
        return self.scrape_s + 2 * self.evaluation_s

    @property
    def audit_patience_s(self) -> float:
        """Gates that judged nothing for so long are not at work any more."""
        return self.assertion_s + self.clean_period_s

    def confirm_s(self, time_to_detect_s: float) -> float:
        """Full load is confirmed for as long as the violation once took to show, and a window."""
        return self.warm_up_s + max(self.clean_period_s, time_to_detect_s + self.range_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What this machine can do, measured at the start of a campaign."""

    #: p95 of a healthy canary request at base load, seconds
    healthy_p95_s: float
    #: throughput of the machine relative to the one the loads were measured on
    throughput_ratio: float
    #: one commit that reaches the disk as Postgres is configured, seconds
    commit_s: float
    #: what the profiles' rates are multiplied by
    rate_scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The earlier campaign that an isolated trial has its code of, or a replay all of its state."""

    campaign: str
    #: what runs at the start, and the app as it was delivered to that campaign
    revision: str
    first_revision: str
    #: instead of one of our own
    calibration: Calibration | None = None
    #: the trial that is replayed, and its snapshot; an isolated trial has neither
    trial: int | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole campaign, self-contained: a journal can be folded without the profiles' folder."""

    campaign: str
    target: str
    mode: Mode
    operator: str
    seed: int
    profiles: tuple[Profile, ...]
    invariants: tuple[Invariant, ...]
    base_load: LoadVector
    timings: Timings = field(default_factory=Timings)
    budget: Budget = field(default_factory=Budget)
    campaign_budget: CampaignBudget = field(default_factory=CampaignBudget)
    operator_options: OperatorOptions = field(default_factory=OperatorOptions)
    generator_limits: GeneratorLimits = field(default_factory=GeneratorLimits)
    #: no more than a quick judgement needs: a brief baseline, and what recovered is not confirmed
    bare: bool = False
    #: a continuous campaign keeps the state that each trial starts in
    snapshots: bool = False
    #: None: the app as delivered, a fresh database
    origin: Origin | None = None
