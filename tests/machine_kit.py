"""Drives the pure core by hand: one second at a time, each event as the world would send it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from campaign.machine import Campaign, fold, step
from campaign.model import (
    AssertionJudged,
    AssertionResult,
    Auditing,
    CampaignStarted,
    Command,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Evaluated,
    Event,
    GatesFinished,
    LoadApplied,
    Plan,
    Sample,
    SessionEnded,
    SessionOutcome,
    Spend,
    SpendNoted,
    StackReady,
    TicketResolved,
    TrialRecord,
)
from campaign.testing import ALL_WELL, CALIBRATION, HEALTHY, make_plan
from campaign.testing.world import STARVED

BEGAN_AT = 1_000.0


class Drive:
    """A campaign and its clock. Every method gives the drive back, so lines read as a story."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or make_plan(2)
        self.at = BEGAN_AT
        self.journal: list[Event] = []
        self.commands: tuple[Command, ...] = ()
        self.campaign: Campaign
        self.send(CampaignStarted(at=self.at, plan=self.plan))

    @property
    def trial(self) -> TrialRecord:
        return self.campaign.trial

    @property
    def index(self) -> int:
        return self.trial.index

    @property
    def phase(self) -> str:
        return self.campaign.phase.kind

    def send(self, event: Event) -> Drive:
        """Step once; `commands` are those of this step."""
        before = None if not self.journal else self.campaign
        self.journal.append(event)
        self.campaign, self.commands = step(before, event)
        return self

    def refolded(self) -> Campaign | None:
        return fold(self.journal)

    # -- time -----------------------------------------------------------------------------------

    def tick(
        self,
        seconds: int = 1,
        *,
        red: Iterable[str] = (),
        mild: Iterable[str] = (),
        idle: Iterable[str] = (),
        swallowed: Iterable[str] = (),
        blind: bool = False,
        starved: bool = False,
    ) -> Drive:
        """One evaluation a second; stops early when the phase changes."""
        was = self.phase
        for _ in range(seconds):
            if self.phase != was:
                break
            self.at += 1.0
            samples = self.samples(red=red, mild=mild, idle=idle, swallowed=swallowed)
            missing = "prometheus: no answer" if blind else ""
            generator = STARVED if starved else HEALTHY
            self.send(
                Evaluated(
                    at=self.at,
                    trial=self.index,
                    samples=() if blind else samples,
                    generator=generator,
                    missing=missing,
                )
            )
        return self

    def samples(
        self,
        *,
        red: Iterable[str] = (),
        mild: Iterable[str] = (),
        idle: Iterable[str] = (),
        swallowed: Iterable[str] = (),
    ) -> tuple[Sample, ...]:
        """`red` are far over the limit of 0.05, `mild` just over it."""
        return tuple(
            Sample(
                invariant=invariant.id,
                value=0.8 if invariant.id in red else 0.1 if invariant.id in mild else 0.0,
                samples=1.0 if invariant.id in swallowed else 40.0,
                offered=1.0 if invariant.id in idle else 40.0,
                measured_at=self.at,
            )
            for invariant in self.plan.invariants
        )

    def skip(self, seconds: float) -> Drive:
        """Time passes and nobody looks."""
        self.at += seconds
        return self

    # -- the world's answers --------------------------------------------------------------------

    def stack_ready(self, revision: str = "r0") -> Drive:
        return self.send(
            StackReady(
                at=self.at,
                trial=self.index,
                revision=revision,
                invariants=self.plan.invariants,
                calibration=CALIBRATION,
            )
        )

    def load_applied(self, load_id: str | None = None) -> Drive:
        wanted = load_id or getattr(self.campaign.phase, "load_id", None)
        return self.send(LoadApplied(at=self.at, trial=self.index, load_id=wanted or "none"))

    def data_grown(self) -> Drive:
        return self.send(DataGrown(at=self.at, trial=self.index, rows=10, duration_s=1.0))

    # -- the operator's acts --------------------------------------------------------------------

    @property
    def ticket(self) -> str:
        return self.trial.ticket.id if self.trial.ticket else ""

    def request_deployment(self, deployment: str = "d1", *, revision: str = "r1") -> Drive:
        return self.send(
            DeploymentRequested(
                at=self.at,
                trial=self.index,
                ticket=self.ticket,
                session=self.trial.sessions,
                deployment=deployment,
                revision=revision,
                message="",
            )
        )

    def finish_deployment(
        self,
        deployment: str = "d1",
        *,
        revision: str = "r1",
        ok: bool = True,
        trial: int | None = None,
    ) -> Drive:
        return self.send(
            DeploymentFinished(
                at=self.at,
                trial=self.index if trial is None else trial,
                deployment=deployment,
                revision=revision,
                ok=ok,
                reason="" if ok else "it did not come up",
                duration_s=1.0,
            )
        )

    def deploy(self, deployment: str = "d1", *, revision: str = "r1", ok: bool = True) -> Drive:
        self.request_deployment(deployment, revision=revision)
        return self.finish_deployment(deployment, revision=revision, ok=ok)

    def resolve(self) -> Drive:
        return self.send(
            TicketResolved(
                at=self.at,
                trial=self.index,
                ticket=self.ticket,
                session=self.trial.sessions,
                root_cause="found it",
            )
        )

    def spend(self, spend: Spend, *, session: int | None = None) -> Drive:
        """The session says what it has cost so far."""
        return self.send(
            SpendNoted(
                at=self.at,
                trial=self.index,
                ticket=self.ticket,
                session=session or self.trial.sessions,
                spend=spend,
            )
        )

    def end_session(
        self,
        outcome: SessionOutcome = SessionOutcome.RESOLVED,
        *,
        reason: str = "",
        spend: Spend | None = None,
    ) -> Drive:
        return self.send(
            SessionEnded(
                at=self.at,
                trial=self.index,
                ticket=self.ticket,
                session=self.trial.sessions,
                outcome=outcome,
                reason=reason,
                spend=spend or Spend(),
            )
        )

    # -- the gates ------------------------------------------------------------------------------

    @property
    def current_audit(self) -> str:
        return self.campaign.phase.audit if isinstance(self.campaign.phase, Auditing) else "none"

    def judged(self, *results: AssertionResult, audit: str | None = None) -> Drive:
        named = audit or self.current_audit
        for result in results:
            self.send(AssertionJudged(at=self.at, trial=self.index, audit=named, result=result))
        return self

    def gates_finished(self, *results: AssertionResult, audit: str | None = None) -> Drive:
        """The gates found `results` and are done."""
        self.judged(*results, audit=audit)
        named = audit or self.current_audit
        return self.send(GatesFinished(at=self.at, trial=self.index, audit=named))

    def pass_gates(self) -> Drive:
        """The base load is on, and everything that the gates look at is well."""
        return self.load_applied().gates_finished(*ALL_WELL)

    # -- ways to a phase ------------------------------------------------------------------------

    @property
    def broken(self) -> tuple[str, ...]:
        """What the profile at hand breaks."""
        return self.plan.profiles[self.index].breaks

    def to_baseline(self) -> Drive:
        return self.stack_ready() if self.phase == "preparing" else self

    def to_growing(self) -> Drive:
        return self.to_baseline().load_applied().tick(10)

    def to_disturbed(self) -> Drive:
        return self.to_growing().data_grown()

    def to_repairing(self) -> Drive:
        return self.to_disturbed().load_applied().tick(5, red=self.broken)

    def to_recovering(self) -> Drive:
        return self.to_repairing().deploy().resolve().end_session()

    def to_confirming(self) -> Drive:
        return self.to_recovering().tick(10)

    def to_full_load(self) -> Drive:
        """The second stage of the confirmation, applied."""
        self.to_confirming().load_applied()
        while self.campaign.phase.kind == "confirming" and self.campaign.phase.stage == "base":
            self.at += 1.0
            self.send(
                Evaluated(at=self.at, trial=self.index, samples=self.samples(), generator=HEALTHY)
            )
        return self.load_applied()

    def to_auditing(self) -> Drive:
        """The base load is not on yet: the gates have not begun."""
        return self.to_full_load().tick(30)

    def to_gates(self) -> Drive:
        """The gates are at work."""
        return self.to_auditing().load_applied()

    def to_healing(self) -> Drive:
        return self.to_auditing().pass_gates()

    def to_second_trial(self) -> Drive:
        return self.to_healing().load_applied()


def without_growth(plan: Plan) -> Plan:
    return replace(plan, profiles=tuple(replace(each, growth={}) for each in plan.profiles))
