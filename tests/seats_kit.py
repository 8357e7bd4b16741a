"""A small campaign whose tickets anybody may take: no stack, no load, a toolbox of five tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiohttp.test_utils import TestServer
from operators.external import ExternalDriver, Seat, SessionFacts
from operators.session import Briefing, Driver, ToolSpec
from operators.toolbox.answer import Answer
from operators.trace.recorder import TurnUsage
from prometheus_client import CollectorRegistry

from campaign.http_api import Control, build_api
from campaign.model import (
    AccessRefused,
    Assignment,
    Budget,
    Event,
    MessageSent,
    OperatorOptions,
    SessionResult,
    Spend,
    Ticket,
)
from campaign.seats import OpenSeat, Register

TOKEN = "the owner's"  # noqa: S105 - a test's own


def spec(name: str, *required: str, **optional: str) -> ToolSpec:
    """`optional`: name to type of those that can be left out; all others are text."""
    properties = {name: {"type": "string"} for name in required}
    properties |= {name: {"type": kind} for name, kind in optional.items()}
    return ToolSpec(
        name=name,
        description=f"what {name} does",
        parameters={"type": "object", "properties": properties, "required": list(required)},
    )


SPECS = (
    spec("sql", "query", max_rows="integer"),
    spec("bash", "command"),
    spec("deploy", "message"),
    spec("http_request", "method", "path", timeout_s="number"),
    spec("resolve", "root_cause"),
)


def assignment(number: int = 1, *, wall_s: float = 1800.0, turns: int | None = None) -> Assignment:
    return Assignment(
        trial=number - 1,
        ticket=Ticket(id=f"T{number:03}", opened_at=90.0, symptoms=(), offered_hz=6.0, users=12),
        session=1,
        budget=Budget(wall_s=wall_s, turns=turns),
    )


async def until(happened: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Looks again and again; for what tells nobody."""
    async with asyncio.timeout(within_s):
        while not happened():  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)


@dataclass(kw_only=True)
class FakeTrace:
    """What it was told, in words."""

    told: list[str] = field(default_factory=list)

    def user_message(self, text: str) -> None:
        self.told.append(f"user: {text}")

    def thinking(self, text: str, *, model: str) -> None: ...

    def assistant_text(self, text: str, *, model: str) -> None: ...

    def tool_use(self, call: str, tool: str, arguments: Mapping[str, Any]) -> None:
        self.told.append(f"{call}: {tool} {', '.join(arguments)}")

    def tool_result(self, call: str, tool: str, answer: Answer, *, duration_s: float) -> None:
        del tool, duration_s
        self.told.append(f"{call}: {answer.text}")

    def turn(self, usage: TurnUsage) -> None: ...

    def broken_off(self, usage: TurnUsage) -> None: ...

    def remark(self, text: str) -> None:
        self.told.append(f"remark: {text}")


@dataclass(kw_only=True)
class FakeTools:
    """`bash sleep` goes on until `may_go_on`; `sql bad` says no; `deploy` may wait for approval."""

    session: FakeSession
    specs: Sequence[ToolSpec] = SPECS
    #: asked before a deployment
    approve: Callable[[], bool] = lambda: False
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    asked: int = 0

    def _next_approval(self) -> str:
        self.asked += 1
        assignment = self.session.assignment
        return f"{assignment.ticket.id}-s{assignment.session}-a{self.asked}"

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        del call
        self.calls.append((tool, dict(arguments)))
        try:
            return await self._answer(tool, arguments)
        except asyncio.CancelledError:
            self.ended.append(tool)
            raise

    async def _answer(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        if self.failure is not None:
            raise self.failure
        if arguments.get("command") == "sleep":
            self.begun.set()
            await self.may_go_on.wait()
        if arguments.get("command") == "false":
            return Answer(text="exit code 1", exit_code=1)
        if arguments.get("query") == "bad":
            return Answer(text="syntax error at bad; see the query", is_error=True)
        if tool == "deploy" and self.approve():
            decision = await self.session.seat.ask(self._next_approval(), tool, arguments)
            if not decision.granted:
                return Answer(text=f"refused: {decision.reason}", is_error=True)
        if tool == "resolve":
            self.session.resolved = True
            return Answer(text="resolved", ends_session=True)
        if tool not in {spec.name for spec in self.specs}:
            return Answer(text=f"there is no tool {tool}", is_error=True)
        return Answer(text=f"{tool} is done")


@dataclass(kw_only=True)
class FakeSession:
    """Implements `operators.session.Session`."""

    assignment: Assignment
    seat: Seat
    options: OperatorOptions = field(default_factory=OperatorOptions)
    trace: FakeTrace = field(default_factory=FakeTrace)
    resolved: bool = False
    noted: Spend = field(default_factory=Spend)
    max_turns: int | None = None

    def __post_init__(self) -> None:
        self.tools = FakeTools(session=self)
        self.began = self.now()

    @property
    def briefing(self) -> Briefing:
        ticket = self.assignment.ticket.id
        return Briefing(role="You are on call.", prior="", ticket=f"{ticket}: it is slow")

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def count(self, spend: Spend) -> None:
        self.noted = spend

    async def spent(self, spend: Spend) -> None:
        self.count(spend)

    def over_budget(self) -> str:
        if self.max_turns is not None and self.noted.turns >= self.max_turns:
            return f"{self.max_turns} turns are spent"
        wall_s = self.assignment.budget.wall_s
        return f"{wall_s:.0f} s are over" if self.now() - self.began >= wall_s else ""

    async def messages(self) -> Sequence[str]:
        return await self.seat.messages()


@dataclass(kw_only=True)
class FakeCampaign:
    """Desk, register and the sessions, one after the other."""

    register: Register = field(
        default_factory=lambda: Register(campaign="one", url="http://127.0.0.1:1")
    )
    events: list[Event] = field(default_factory=list)
    sessions: list[FakeSession] = field(default_factory=list)
    results: list[SessionResult] = field(default_factory=list)
    trace: Path | None = None
    #: every deployment waits for a person
    approve: bool = False
    #: instead of waiting for somebody from outside
    driver: Driver | None = None
    wall_s: float = 1800.0
    max_turns: int | None = None
    url: str = ""

    async def record(self, event: Event) -> None:
        await asyncio.sleep(0)
        self.events.append(event)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def play(self, tickets: int = 1) -> None:
        self.register.expect(SPECS)
        try:
            for number in range(len(self.results) + 1, len(self.results) + tickets + 1):
                await self.one_session(number)
        finally:
            self.register.close()

    async def one_session(self, number: int) -> None:
        work = assignment(number, wall_s=self.wall_s, turns=self.max_turns)
        facts = SessionFacts(assignment=work, operator="external", trace=self.trace)
        async with self.register.open(facts, self) as seat:
            session = FakeSession(assignment=work, seat=seat, max_turns=self.max_turns)
            session.tools.approve = lambda: self.approve
            self.sessions.append(session)
            driver = self.driver or ExternalDriver(seats=self.register)
            self.results.append(await seat.drive(driver, session))

    async def state(self, wanted: str, number: int = 1) -> OpenSeat:
        """The session, as soon as it is in this state."""

        def is_there() -> bool:
            seats = self.register.seats
            return len(seats) >= number and seats[number - 1].state == wanted

        await until(is_there)
        return self.register.seats[number - 1]

    @property
    def refused(self) -> list[str]:
        return [event.what for event in self.events if isinstance(event, AccessRefused)]

    @property
    def said(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, MessageSent)]


@asynccontextmanager
async def serving(campaign: FakeCampaign) -> AsyncIterator[str]:
    """Its API on a port of its own; the URL."""
    registry = CollectorRegistry()
    api: web.Application = build_api(
        cast("Control", NoControl()),
        registry=registry,
        token=TOKEN,
        seats=lambda: campaign.register,
    )
    async with TestServer(api) as server:
        campaign.url = campaign.register.url = str(server.make_url("")).rstrip("/")
        yield campaign.url


class NoControl:
    """Nothing can be started or stopped."""
