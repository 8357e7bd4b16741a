"""What may stand in target.yaml, profile.yaml, invariants.yaml and a campaign's own file.

Strict: a number in quotes is no number. The descriptions are shown when a key is missing.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from campaign.model import (
    Arrival,
    Category,
    Effort,
    LadderMode,
    Memory,
    Persona,
    Provider,
    ToolName,
)
from campaign.model.invariant import Kind, Unit

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
#: the jobs that Prometheus scrapes
Source: TypeAlias = Literal["loadgen", "ratchet", "app", "prometheus"]


class _Strict(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class LoadEntry(_Strict):
    """One dimension of an offered load."""

    behaviour: Name = Field(description="what the users do: a behaviour of target.yaml")
    users: int = Field(ge=1, le=5000, description="number of simulated users")
    rate_hz: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = Field(
        description="scheduled arrivals per second of each user"
    )
    arrival: Arrival = Field(
        default="staggered", description="each user at its own moment, or all at the same one"
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="what the behaviour is told: its own options"
    )


class FullScaleEntry(_Strict):
    """The same trial at the size its symptom is known by, for `--scale full`."""

    growth: dict[str, Any] | None = Field(default=None, description="instead of the profile's")
    load: Annotated[list[LoadEntry], Field(min_length=1)] | None = Field(
        default=None, description="instead of the profile's"
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.growth is None and self.load is None:
            raise ValueError("changes nothing: give it a growth, a load or both")
        return self


class ProfileFile(_Strict):
    """profile.yaml; the folder's name is its id and its place in the ladder."""

    title: Text = Field(description="a few words for people")
    category: Category = Field(description="query, connection, write or notification")
    symptom: Text = Field(description="one line, for 'issues at a glance'")
    anti_patterns: list[Annotated[str, Field(pattern=r"^[\w/.-]+\.py:[A-Za-z_][\w.]*$")]] = Field(
        min_length=1, description="file:function of the unmodified app, one or more"
    )
    load: list[LoadEntry] = Field(min_length=1, description="what is added to the base load")
    growth: dict[str, Any] = Field(
        default_factory=dict, description="the rows that are added first: see the target's data.py"
    )
    breaks: list[Name] = Field(
        min_length=1, description="the invariants that the unmodified app must break"
    )
    window_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = Field(
        description="how long to watch for a violation at full load, seconds"
    )
    ratchet: list[LoadEntry] = Field(
        default_factory=list, description="what is added to the base load once it is survived"
    )
    scale: Literal["none", "throughput"] = Field(
        default="none",
        description="throughput: rates are multiplied by how fast this machine is",
    )
    full_scale: FullScaleEntry | None = Field(
        default=None, description="what `--scale full` plays instead"
    )
    masked_by: list[Name] = Field(
        default_factory=list,
        description="the profiles whose fixes, once in, keep this one from breaking anything",
    )
    note: Text | None = Field(
        default=None,
        description="what was added so that it breaks on a fast machine too, and why",
    )


class LatencyEntry(_Strict):
    """L = max(floor_s, times_calibrated x p95 of a healthy request), up to a bucket edge."""

    floor_s: Positive = Field(description="L is at least this, seconds")
    times_calibrated: Positive = Field(description="L is at least this many healthy p95s")


class InvariantEntry(_Strict):
    """One invariant; its PromQL may use `$NAMES` (see `chaos_profiles.promql`)."""

    id: Name = Field(description="its name in metrics, tickets and profiles")
    title: Text = Field(description="what a pager would say when it is violated")
    kind: Kind = Field(description="performance, availability, resource or correctness")
    unit: Unit = Field(description="ratio, count, bytes or seconds")
    value: Text = Field(description="PromQL of the judged value")
    limit: Annotated[float, Field(allow_inf_nan=False)] = Field(
        description="violated when the value is above it"
    )
    samples: Text = Field(description="PromQL: observations in the window")
    offered: Text = Field(description="PromQL: observations that the window should have had")
    min_offered: NotNegative = Field(description="with less offered in the window it is idle")
    sources: list[Source] = Field(min_length=1, description="the scrape jobs it reads")
    select: Text | None = Field(
        default=None, description="label matchers of the requests it judges: `$SELECT`"
    )
    latency: LatencyEntry | None = Field(
        default=None, description="how its latency limit `$L` follows from the calibration"
    )


class InvariantsFile(_Strict):
    """invariants.yaml."""

    shared: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")], Text] = Field(
        default_factory=dict, description="PromQL by name, for use as `$name`"
    )
    invariants: list[InvariantEntry] = Field(min_length=1, description="the target's SLOs")


class DatabaseEntry(_Strict):
    """What the app finds behind its DATABASE_URL."""

    name: Name = Field(description="the app's database")
    role: Name = Field(description="the role that the app connects as, and that owns it")


class LedgerEntry(_Strict):
    """SQL by which acknowledged writes are looked up; `$1` is an array of ids (bigint[])."""

    messages: Text = Field(description="SELECT id, conversation_id, user_id, tokens of messages $1")
    usage: Text = Field(
        description="SELECT user_id, tokens used so far of users $1 (all when NULL)"
    )


class TargetFile(_Strict):
    """target.yaml; paths are relative to its folder, or to the app's where it says so."""

    app: Text = Field(description="folder of the app's source")
    command: list[Text] = Field(min_length=1, description="how the app is started, in its folder")
    health_path: Annotated[str, Field(pattern=r"^/")] = Field(
        description="answers 200 when the app can serve"
    )
    requirements: Text = Field(description="the app's requirements file, in its folder")
    database: DatabaseEntry = Field(description="the app's database")
    clients: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")] = Field(
        description="what its users do: a file beside this one (clients.py), or a module"
    )
    behaviours: dict[Name, list[Name]] = Field(
        min_length=1, description="what users can do, and the operations that it calls"
    )
    base_load: list[LoadEntry] = Field(min_length=1, description="the load every trial starts at")
    ledger: LedgerEntry = Field(description="how acknowledged writes are looked up")
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=60)] = Field(
        default="X-User-Id",
        description="the header by which the app knows its user: operators' requests set it",
    )


class TimingsEntry(_Strict):
    """The clockwork that may be changed, in seconds."""

    range_s: Positive = 4.0
    warm_up_s: NotNegative = 2.0
    baseline_patience_s: Positive = 30.0
    recovery_patience_s: Positive = 60.0


class BudgetEntry(_Strict):
    """What the work on one ticket may cost; left out: no limit (wall_s: half an hour)."""

    wall_s: Positive = 1800.0
    turns: Annotated[int, Field(ge=1)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    usd: Positive | None = None


class CampaignBudgetEntry(_Strict):
    """What the work on all tickets together may cost; left out: no limit."""

    tokens: Annotated[int, Field(ge=1)] | None = None
    usd: Positive | None = None


class OperatorOptionsEntry(_Strict):
    """How the operator is set up, never a key; one with no use for an option leaves it alone."""

    persona: Persona = Field(
        default="baseline",
        description="a ticket tells the symptoms, or also which tools and metrics there are",
    )
    memory: Memory = Field(
        default="history", description="what a session is told of those before it"
    )
    plan_mode: bool = Field(
        default=False, description="nothing can be changed before a plan is filed"
    )
    approve: list[ToolName] = Field(
        default_factory=list, description="the tools whose every call waits for a person's approval"
    )
    model: Text | None = Field(default=None, description="claude: the model's id")
    effort: Effort | None = Field(default=None, description="claude: how hard it thinks")
    provider: Provider = Field(default="anthropic", description="claude: who serves the model")
    base_url: Text | None = Field(
        default=None, description="claude: another address of the provider, without any key in it"
    )
    agent: Text = Field(
        default="claude-code", description="command: a preset's name, or an adapter file"
    )
    recording: Text | None = Field(
        default=None, description="replay: the campaign whose sessions are played again"
    )


class WebhookEntry(_Strict):
    """Where tickets and verdicts are sent to people beside the campaign."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=2000)] = Field(
        description="POSTed to; never the operator's, for notices name profiles"
    )
    secret_file: Text | None = Field(
        default=None,
        description="holds what they are signed with; relative to the campaign's file",
    )


class CampaignFile(_Strict):
    """A campaign as a file."""

    target: Name = Field(description="the app to play against, such as chat_db_app")
    operator: Text = Field(description="who works on the tickets, such as reference")
    mode: LadderMode = Field(
        default="continuous", description="state carries over, or each trial starts afresh"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=1, description="of the load's random choices"
    )
    profiles: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="in the order they are played in; left out: the whole ladder"
    )
    base_load: Annotated[list[LoadEntry], Field(min_length=1)] | None = Field(
        default=None, description="instead of the target's"
    )
    timings: TimingsEntry = Field(
        default_factory=TimingsEntry, description="the clockwork, in seconds"
    )
    budget: BudgetEntry = Field(
        default_factory=BudgetEntry, description="what the work on one ticket may cost"
    )
    campaign_budget: CampaignBudgetEntry = Field(
        default_factory=CampaignBudgetEntry,
        description="what the work on all tickets together may cost",
    )
    operator_options: OperatorOptionsEntry = Field(
        default_factory=OperatorOptionsEntry, description="how the operator is set up"
    )
    webhook: WebhookEntry | None = Field(
        default=None, description="where tickets and verdicts are sent to"
    )
