"""An operator that works with tools: opens a session, hands it to its driver, and puts it away."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from campaign.model import Assignment, Budget, OperatorOptions, SessionResult, Spend, SpendNoted
from operators.briefing import make_briefing
from operators.external import Seat, Seats, SessionFacts
from operators.session import Briefing, Driver
from operators.toolbox import Desk, Equipment, Instruments, Shell, Toolbox
from operators.trace import Pricing, Recorder, TraceWriter
from operators.trace.recorder import NoRecorder

_TURNS_NOTED_EVERY_S = 1.0


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
    redact: Collection[str] = ()
    #: below the ticket: labels and addresses
    links: Mapping[str, str] = field(default_factory=dict)


class AgentOperator:
    """Implements `campaign.ports.Operator`."""

    def __init__(self, kit: AgentKit, driver: Driver) -> None:
        self._kit = kit
        self._driver = driver

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        """One session, from its briefing to its end; nothing of it is left when this returns.

        Raises:
            TraceLostError: what it does cannot be kept.
        """
        kit = self._kit
        name = f"{assignment.ticket.id}-s{assignment.session}"
        with TraceWriter(
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
                    result = await seat.drive(self._driver, session)
                finally:
                    await session.tools.close()
        return replace(result, spend=session.spend_in(result))

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
        tells_itself = getattr(self._driver, "traces_itself", False)
        toolbox = Toolbox(
            kit.equipment,
            assignment,
            desk,
            instruments=instruments,
            options=kit.options,
            trace=NoRecorder() if tells_itself else trace,
            approvals=seat,
            shell=shell,
            looking=looking,
            ticket_text=lambda: told[0],
        )
        metrics: list[str] = []
        if kit.options.persona == "informed":
            metrics = [metric.name for metric in await instruments.metrics.list()]
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
        )
        told.append(briefing.ticket)
        return AgentSession(
            assignment=assignment,
            options=kit.options,
            briefing=briefing,
            tools=toolbox,
            trace=trace,
            desk=desk,
            seat=seat,
            began_at=desk.now(),
        )


@dataclass(slots=True, kw_only=True)
class AgentSession:
    """Implements `operators.session.Session`."""

    assignment: Assignment
    options: OperatorOptions
    briefing: Briefing
    tools: Toolbox
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
        return self.tools.resolved

    async def spent(self, spend: Spend) -> None:
        """A session that follows a crash counts it.

        Turns alone, which calls from outside are, are noted once a second at the most.
        """
        if spend == self._spend:
            return
        self._spend, noted, at = spend, self._noted, self.now()
        only_turns = replace(spend, turns=noted.turns) == noted
        if only_turns and at - self._noted_at < _TURNS_NOTED_EVERY_S:
            return
        self._noted, self._noted_at = spend, at
        await self.desk.record(
            SpendNoted(
                at=at,
                trial=self.assignment.trial,
                ticket=self.assignment.ticket.id,
                session=self.assignment.session,
                spend=spend,
            )
        )

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

    Money that nobody can count is not there to be spent.
    """
    if elapsed_s >= budget.wall_s:
        return f"wall time: {budget.wall_s:.0f} s"
    if budget.turns is not None and spend.turns >= budget.turns:
        return f"turns: {spend.turns} of {budget.turns}"
    if budget.tokens is not None and spend.tokens is not None and spend.tokens >= budget.tokens:
        return f"tokens: {spend.tokens:,} of {budget.tokens:,}"
    if budget.usd is not None and spend.turns:
        if spend.usd is None:
            return f"money: what was spent of ${budget.usd:.2f} is unknown"
        if spend.usd >= budget.usd:
            return f"money: ${spend.usd:.2f} of ${budget.usd:.2f}"
    return ""
