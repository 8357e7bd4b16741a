"""An operator that works with tools: opens a session, hands it to its driver, and puts it away."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from campaign.model import (
    Assignment,
    Budget,
    OperatorOptions,
    SessionOutcome,
    SessionResult,
    Spend,
    SpendNoted,
    Ticket,
)
from operators.briefing import make_briefing
from operators.briefing.standing import Standing, standing_text
from operators.external import Seat, Seats, SessionFacts
from operators.faults import Faults, WatchedTools
from operators.session import Briefing, Driver
from operators.toolbox import Desk, Equipment, Instruments, Shell, Toolbox, ToolError
from operators.toolbox.instruments import Metrics
from operators.trace import Pricing, Recorder, TraceLostError, TraceWriter
from operators.trace.cleaning import Cleaner
from operators.trace.recorder import NoRecorder

_TURNS_NOTED_EVERY_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentKit:
    """What every session of a campaign works with."""

    #: such as "claude": whose traces these are
    name: str
    equipment: Equipment
    #: valid while the stack runs
    instruments: Callable[[], AbstractAsyncContextManager[Instruments]]
    options: OperatorOptions
    seats: Seats
    #: the folder of the campaign's traces
    traces: Path
    prices: Pricing | None = None
    #: secrets that must be in no trace
    redact: Collection[str] = field(default=(), repr=False)
    #: below the ticket: labels, and where that is to be found
    links: Mapping[str, str] = field(default_factory=dict)
    #: how a ticket's symptoms stand at the moment; None: nobody can say
    standing: Callable[[Ticket], Awaitable[Sequence[Standing]]] | None = None
    #: the header by which the app knows its user
    user_header: str = "X-User-Id"
    #: every ticket begins with the app as it was delivered
    isolated: bool = False


class AgentOperator:
    """Implements `campaign.ports.Operator`."""

    def __init__(self, kit: AgentKit, driver: Driver) -> None:
        self._kit = kit
        self._driver = driver

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        """One session, from its briefing to its end; nothing of it is left when this returns.

        A driver that breaks has failed. Whatever else breaks is raised: it is not the operator's.

        Raises:
            TraceLostError: what it does cannot be kept.
        """
        kit = self._kit
        name = f"{assignment.ticket.id}-s{assignment.session}"
        async with TraceWriter(
            kit.traces, session_id=name, source=kit.name, redact=kit.redact, prices=kit.prices
        ) as trace:
            facts = SessionFacts(assignment=assignment, operator=kit.name, trace=trace.path)
            async with (
                kit.instruments() as instruments,
                instruments.shells.open() as shell,
                self._looking(instruments) as looking,
                kit.seats.open(facts, desk) as seat,
            ):
                session = await self._session(
                    assignment, desk, instruments, shell, looking, seat, trace
                )
                try:
                    result = await session.faults.ends(
                        seat.drive(self._driver, session), broken=_failed
                    )
                finally:
                    await session.tools.toolbox.close()
        reason = Cleaner(kit.redact).text(result.reason).text
        return replace(result, reason=reason, spend=session.spend_in(result))

    def _looking(self, instruments: Instruments) -> AbstractAsyncContextManager[Shell | None]:
        """The shell until a plan is filed."""
        if self._kit.options.plan_mode:
            return instruments.shells.open_to_look()
        return nullcontext()

    async def _session(  # noqa: PLR0917 - the parts of one thing
        self,
        assignment: Assignment,
        desk: Desk,
        instruments: Instruments,
        shell: Shell,
        looking: Shell | None,
        seat: Seat,
        trace: Recorder,
    ) -> AgentSession:
        kit = self._kit
        told: list[str] = []
        faults = Faults()
        toolbox = Toolbox(
            kit.equipment,
            assignment,
            desk,
            instruments=instruments,
            options=kit.options,
            trace=NoRecorder() if self._driver.traces_itself else trace,
            approvals=seat,
            shell=shell,
            looking=looking,
            ticket_text=lambda: told[0],
            standing=self._standing(assignment.ticket),
            user_header=kit.user_header,
        )
        metrics: Sequence[str] = ()
        if kit.options.persona == "informed":
            metrics = await _names(instruments.metrics)
        briefing = await make_briefing(
            assignment.ticket,
            options=kit.options,
            budget=assignment.budget,
            specs=toolbox.specs,
            records=instruments.records,
            session=assignment.session,
            traces=kit.traces,
            metrics=metrics,
            links=kit.links,
            isolated=kit.isolated,
        )
        told.append(briefing.ticket)
        return AgentSession(
            assignment=assignment,
            options=kit.options,
            briefing=briefing,
            tools=WatchedTools(toolbox=toolbox, faults=faults),
            faults=faults,
            trace=trace,
            desk=desk,
            seat=seat,
            began_at=desk.now(),
        )

    def _standing(self, ticket: Ticket) -> Callable[[], Awaitable[str]] | None:
        standing = self._kit.standing
        if standing is None:
            return None

        async def told() -> str:
            return standing_text(await standing(ticket))

        return told


async def _names(metrics: Metrics) -> Sequence[str]:
    """What cannot be listed now can be asked for later: no reason to begin without the rest."""
    try:
        return [metric.name for metric in await metrics.list()]
    except ToolError as refused:
        log.warning("no_metrics_for_the_briefing", reason=str(refused))
        return ()


def _failed(error: Exception) -> SessionResult:
    """The driver's own doing; the trial is judged by what is deployed."""
    if isinstance(error, TraceLostError):
        raise error
    log.error("operator_crashed", exc_info=error)
    return SessionResult(outcome=SessionOutcome.FAILED, reason=repr(error))


@dataclass(slots=True, kw_only=True)
class AgentSession:
    """Implements `operators.session.Session`."""

    assignment: Assignment
    options: OperatorOptions
    briefing: Briefing
    tools: WatchedTools
    faults: Faults
    trace: Recorder
    desk: Desk
    seat: Seat
    #: epoch seconds
    began_at: float
    _spend: Spend = field(default_factory=Spend)
    #: what is on record of it, and since when
    _noted: Spend = field(default_factory=Spend)
    _noted_at: float = -math.inf

    def now(self) -> float:
        return self.desk.now()

    @property
    def resolved(self) -> bool:
        return self.tools.toolbox.resolved

    def count(self, spend: Spend) -> None:
        self._spend = spend

    async def spent(self, spend: Spend) -> None:
        """A session that follows a crash counts it.

        Turns alone, which calls from outside are, are noted once a second at the most.
        """
        self.count(spend)
        noted, at = self._noted, self.now()
        if spend == noted:
            return
        only_turns = replace(spend, turns=noted.turns) == noted
        if only_turns and at - self._noted_at < _TURNS_NOTED_EVERY_S:
            return
        self._noted, self._noted_at = spend, at
        event = SpendNoted(
            at=at,
            trial=self.assignment.trial,
            ticket=self.assignment.ticket.id,
            session=self.assignment.session,
            spend=spend,
        )
        with self.faults.noted():
            await self.desk.record(event)

    def over_budget(self) -> str:
        elapsed_s = self.now() - self.began_at
        return over_budget(self.assignment.budget, self._spend, elapsed_s=elapsed_s)

    async def messages(self) -> Sequence[str]:
        return await self.seat.messages()

    def spend_in(self, result: SessionResult) -> Spend:
        """The driver's own last word, or what it had told before it was cut short."""
        return self._spend if result.spend == Spend() else result.spend


def over_budget(budget: Budget, spend: Spend, *, elapsed_s: float) -> str:
    """Which budget is spent, in words; empty: none.

    What nobody can count is not there to be spent.
    """
    if elapsed_s >= budget.wall_s:
        return f"wall time: {budget.wall_s:.0f} s"
    if budget.turns is not None and spend.turns >= budget.turns:
        return f"turns: {spend.turns} of {budget.turns}"
    if budget.tokens is not None:
        if spend.tokens is None and spend.turns:
            return f"tokens: what was spent of {budget.tokens:,} is unknown"
        if (spend.tokens or 0) >= budget.tokens:
            return f"tokens: {spend.tokens or 0:,} of {budget.tokens:,}"
    if budget.usd is not None:
        if spend.usd is None and spend.turns:
            return f"money: what was spent of ${budget.usd:.2f} is unknown"
        if (spend.usd or 0.0) >= budget.usd:
            return f"money: ${spend.usd or 0.0:.2f} of ${budget.usd:.2f}"
    return ""
