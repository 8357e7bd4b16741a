"""Everything that a session is opened with, in memory, and what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from operators.agent import AgentKit, AgentOperator
from operators.briefing import Standing
from operators.external import Place, SessionFacts
from operators.session import Driver, Session, ToolSpec
from operators.toolbox.approvals import Decision
from operators.toolbox.equipment import Desk
from operators.toolbox.instruments import Instruments, Metric, PastTicket, Shell
from operators.trace import Pricing, Trace, read_trace

from campaign.model import (
    Assignment,
    Budget,
    Event,
    OperatorOptions,
    SessionOutcome,
    SessionResult,
    Spend,
    SpendNoted,
    Ticket,
)
from campaign.operator_records import JournalRecords
from tests.toolbox_kit import ASSIGNMENT, Bench, Panel

RESOLVED = SessionResult(outcome=SessionOutcome.RESOLVED)


@dataclass(frozen=True, kw_only=True)
class Does:
    """A driver that is one function; it may trace itself."""

    work: Callable[[Session], Awaitable[SessionResult | None]]
    traces_itself: bool = False

    async def drive(self, session: Session) -> SessionResult:
        return await self.work(session) or RESOLVED


@dataclass(kw_only=True)
class House:
    """Lends instruments and seats, and knows which are still out."""

    bench: Bench = field(default_factory=Bench)
    panel: Panel = field(default_factory=Panel)
    #: a shell in which nothing can be changed; None: there is none
    looking: Panel | None = None
    #: what was lent and not given back
    out: list[str] = field(default_factory=list)
    lent: list[str] = field(default_factory=list)
    facts: list[SessionFacts] = field(default_factory=list)
    #: what people say, in this order
    said: list[Sequence[str]] = field(default_factory=list)
    metrics: tuple[str, ...] = ("db_pool_size", "loadgen_users")

    @asynccontextmanager
    async def lend(self, what: str) -> AsyncIterator[None]:
        self.lent.append(what)
        self.out.append(what)
        try:
            yield
        finally:
            self.out.remove(what)

    @asynccontextmanager
    async def instruments(self) -> AsyncIterator[Instruments]:
        async with self.lend("instruments"):
            yield replace(
                self.panel.instruments,
                shells=Shells(house=self),
                metrics=Metrics(house=self),
                records=Records(journal=Kept(events=self.bench.events), history=Commits()),
            )

    @property
    def spends(self) -> list[Spend]:
        return [event.spend for event in self.bench.events if isinstance(event, SpendNoted)]


@dataclass(frozen=True, kw_only=True)
class Shells:
    house: House

    def open(self) -> AbstractAsyncContextManager[Shell]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Shell]:
        async with self.house.lend("shell"):
            yield self.house.panel

    @asynccontextmanager
    async def open_to_look(self) -> AsyncIterator[Shell | None]:
        async with self.house.lend("shell to look"):
            yield self.house.looking


@dataclass(kw_only=True)
class Metrics(Panel):
    house: House

    async def list(self) -> Sequence[Metric]:
        self.house.panel.asked.append("list")
        return [Metric(name=name, type="", help="", labels=()) for name in self.house.metrics]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A journal that somebody else writes."""

    events: list[Event]

    async def append(self, event: Event) -> int:
        raise AssertionError(event)

    async def read(self, *, after: int = 0) -> Sequence[Event]:
        return self.events[after:]


class Commits:
    """The workspace's history."""

    async def parent(self, revision: str) -> str | None:
        return f"before {revision}"

    async def diff(self, before: str, after: str) -> str:
        assert before == f"before {after}"
        return "+CREATE INDEX on_what_is_sought\n"


class Records(JournalRecords):
    """No trial has its verdict yet."""

    async def tickets(self) -> Sequence[PastTicket]:
        return ()


@dataclass(frozen=True, kw_only=True)
class FakeSeats:
    """Implements `Seats` and `Seat`: nobody is there."""

    house: House

    def expect(self, specs: Sequence[ToolSpec]) -> None:
        raise AssertionError(specs)

    def place(self, assignment: Assignment) -> Place:
        raise AssertionError(assignment)

    def open(self, facts: SessionFacts, desk: Desk) -> AbstractAsyncContextManager[FakeSeats]:
        assert desk is self.house.bench
        self.house.facts.append(facts)
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[FakeSeats]:
        async with self.house.lend("seat"):
            yield self

    async def ask(self, approval: str, tool: str, arguments: Mapping[str, Any]) -> Decision:
        del approval
        return Decision(granted=False, reason=f"not {tool} with {', '.join(arguments)}")

    async def messages(self) -> Sequence[str]:
        return self.house.said.pop(0) if self.house.said else ()

    async def drive(self, driver: Driver, session: Session) -> SessionResult:
        return await driver.drive(session)


@dataclass(kw_only=True)
class Sessions:
    """Of one campaign, one after the other, all on the same ticket."""

    folder: Path
    house: House = field(default_factory=House)
    options: OperatorOptions = field(default_factory=OperatorOptions)
    budget: Budget = field(default_factory=Budget)
    prices: Pricing | None = None
    redact: tuple[str, ...] = ()
    standing: Callable[[Ticket], Awaitable[Sequence[Standing]]] | None = None
    user_header: str = "X-User-Id"
    number: int = 0

    def operator(self, driver: Driver) -> AgentOperator:
        kit = AgentKit(
            name="claude",
            equipment=self.house.bench.equipment,
            instruments=self.house.instruments,
            options=self.options,
            seats=FakeSeats(house=self.house),
            traces=self.folder / "traces",
            prices=self.prices,
            redact=self.redact,
            standing=self.standing,
            user_header=self.user_header,
        )
        return AgentOperator(kit, driver)

    async def next(self, driver: Driver) -> SessionResult:
        self.number += 1
        assignment = replace(ASSIGNMENT, session=self.number, budget=self.budget)
        return await self.operator(driver).work(assignment, self.house.bench)

    async def next_does(
        self,
        work: Callable[[Session], Awaitable[SessionResult | None]],
        *,
        traces_itself: bool = False,
    ) -> SessionResult:
        return await self.next(Does(work=work, traces_itself=traces_itself))

    @property
    def trace(self) -> Trace:
        """The document of the last one."""
        return read_trace(self.folder / "traces" / f"T003-s{self.number}.json")
