"""What a Claude session is tested in: a session in memory, a toolbox that answers from a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias, TypeVar

import anthropic
import httpx2
from operators.claude import ClaudeDriver, ClaudeSettings
from operators.session import Briefing, ToolSpec
from operators.toolbox.answer import Answer
from operators.trace.recorder import TurnUsage

from campaign.model import Assignment, Budget, OperatorOptions, SessionResult, Spend, Ticket
from tests.fake_messages.model import Model
from tests.fake_messages.server import FakeMessages, running_fake

KEY = "sk-ant-api03-a-key-for-tests"
MODEL = "claude-opus-5-5"
ROLE = "You are on call for the orders service."
PRIOR = "Your notes: the nightly export locks the orders table."
TICKET = "T003: 40 % of the requests to list orders are slower than 1 s."

#: what a tool answers: an answer, or what makes one of its arguments
Reaction: TypeAlias = Answer | Callable[[Mapping[str, Any]], Answer]

_OBJECT = {"type": "object", "properties": {}}
SPECS = tuple(
    ToolSpec(name=name, description=f"What {name} does.", parameters=_OBJECT)
    for name in (
        "read_ticket",
        "bash",
        "str_replace_based_edit_tool",
        "sql",
        "read_logs",
        "write_note",
        "deploy",
        "resolve",
    )
)


def price(usage: TurnUsage) -> float | None:
    """A dollar for a hundred thousand tokens that were written."""
    return None if usage.output_tokens is None else usage.output_tokens / 100_000


@dataclass(kw_only=True)
class Tape:
    """A recorder that keeps what it is told, one line each."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    turns: list[TurnUsage] = field(default_factory=list)
    broken: list[TurnUsage] = field(default_factory=list)

    def user_message(self, text: str) -> None:
        self.lines.append(("user", text))

    def thinking(self, text: str, *, model: str) -> None:
        self.lines.append(("thinking", text))
        assert model == MODEL

    def assistant_text(self, text: str, *, model: str) -> None:
        self.lines.append(("text", text))
        assert model == MODEL

    def tool_use(self, call: str, tool: str, arguments: Mapping[str, Any]) -> None:
        self.lines.append(("use", f"{tool} {dict(arguments)}"))
        assert call

    def tool_result(self, call: str, tool: str, answer: Answer, *, duration_s: float) -> None:
        self.lines.append(("result", f"{tool}: {answer.text}"))
        assert call
        assert duration_s >= 0

    def turn(self, usage: TurnUsage) -> None:
        self.turns.append(usage)
        self.lines.append(("turn", usage.stop_reason))

    def broken_off(self, usage: TurnUsage) -> None:
        self.broken.append(usage)

    def remark(self, text: str) -> None:
        self.lines.append(("remark", text))

    def of(self, kind: str) -> list[str]:
        return [text for what, text in self.lines if what == kind]

    @property
    def kinds(self) -> list[str]:
        return [what for what, _ in self.lines]


@dataclass(kw_only=True)
class FakeSession:
    """A session whose clock is moved by sleeping only, and its toolbox."""

    reactions: Mapping[str, Reaction] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    options: OperatorOptions = field(default_factory=OperatorOptions)
    briefing: Briefing = field(
        default_factory=lambda: Briefing(role=ROLE, prior=PRIOR, ticket=TICKET)
    )
    #: what people say before each call of the model, in this order
    said: list[Sequence[str]] = field(default_factory=list)
    at: float = 1000.0
    tape: Tape = field(default_factory=Tape)
    spends: list[Spend] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    closed: bool = False
    #: tools that wait for it, and that they have begun
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    slow: frozenset[str] = frozenset()
    running: list[str] = field(default_factory=list)
    all_running: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def assignment(self) -> Assignment:
        ticket = Ticket(id="T003", opened_at=990.0, symptoms=(), offered_hz=6.0, users=12)
        return Assignment(trial=2, ticket=ticket, session=1, budget=self.budget)

    @property
    def tools(self) -> Any:
        return self

    @property
    def resolved(self) -> bool:
        return self.closed

    @property
    def trace(self) -> Tape:
        return self.tape

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return SPECS

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        if not isinstance(arguments, Mapping):
            # As the toolbox does.
            return self._refused(call, tool, arguments)
        self.calls.append(tool)
        self.tape.tool_use(call, tool, arguments)
        if tool in self.slow:
            self.running.append(tool)
            if len(self.running) == len(self.slow):
                self.all_running.set()
            await self.may_end.wait()
        answer = self._react(tool, arguments)
        self.tape.tool_result(call, tool, answer, duration_s=0.0)
        return answer

    def _refused(self, call: str, tool: str, arguments: str) -> Answer:
        answer = Answer(text=f"{tool}: its arguments must be one object", is_error=True)
        self.tape.tool_use(call, tool, {"": arguments})
        self.tape.tool_result(call, tool, answer, duration_s=0.0)
        return answer

    def _react(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        if tool not in {spec.name for spec in SPECS}:
            return Answer(text=f"there is no tool {tool}", is_error=True)
        if tool == "resolve":
            self.closed = True
            return Answer(text="resolved", ends_session=True)
        reaction = self.reactions.get(tool, Answer(text=f"{tool} has answered"))
        return reaction(arguments) if callable(reaction) else reaction

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def count(self, spend: Spend) -> None:
        raise AssertionError(spend)

    async def spent(self, spend: Spend) -> None:
        self.spends.append(spend)

    def over_budget(self) -> str:
        spend = self.spends[-1] if self.spends else Spend()
        limits = self.budget
        if self.at - 1000.0 >= limits.wall_s:
            return f"{limits.wall_s:.0f} s are over"
        if limits.turns is not None and spend.turns >= limits.turns:
            return f"{limits.turns} turns are spent"
        if limits.tokens is not None and (spend.tokens or 0) >= limits.tokens:
            return f"{limits.tokens} tokens are spent"
        if limits.usd is not None and (spend.usd or 0.0) >= limits.usd:
            return f"{limits.usd:.2f} USD are spent"
        return ""

    async def messages(self) -> Sequence[str]:
        return self.said.pop(0) if self.said else ()


_T = TypeVar("_T")

#: what was sent before a silence is heard first
_SENT_S = 0.05


@dataclass(kw_only=True)
class Impatient(httpx2.AsyncBaseTransport):
    """Times out as soon as the fake hangs, and at no other time, however slow the machine is."""

    fake: FakeMessages
    inner: httpx2.AsyncHTTPTransport = field(default_factory=httpx2.AsyncHTTPTransport)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self.unless_silent(self.inner.handle_async_request(request))
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Heard(stream=response.stream, ears=self)
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def unless_silent(self, coming: Awaitable[_T]) -> _T:
        """Raises ReadTimeout when nothing comes of it."""
        heard = asyncio.ensure_future(coming)
        silence = asyncio.create_task(self.fake.silent.wait())
        try:
            await asyncio.wait({heard, silence}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({heard}, timeout=_SENT_S)
            if heard.done():
                return heard.result()
            self.fake.silent.clear()
            raise httpx2.ReadTimeout("the fake hangs")
        finally:
            for task in (heard, silence):
                task.cancel()
            await asyncio.gather(heard, silence, return_exceptions=True)


@dataclass(kw_only=True)
class _Heard(httpx2.AsyncByteStream):
    """The body of an answer, chunk by chunk."""

    stream: httpx2.AsyncByteStream
    ears: Impatient

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self.stream)
        while (chunk := await self.ears.unless_silent(anext(chunks, None))) is not None:
            yield chunk

    async def aclose(self) -> None:
        await self.stream.aclose()


def driver(
    fake: FakeMessages, session: FakeSession, *, settings: ClaudeSettings | None = None
) -> ClaudeDriver:
    """One that reaches the fake, and sleeps on the session's clock."""
    settings = settings or ClaudeSettings()

    def connect() -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(
            api_key=KEY,
            base_url=fake.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(settings.silence_s),
            http_client=anthropic.DefaultAsyncHttpxClient(transport=Impatient(fake=fake)),
        )

    return ClaudeDriver(
        connect=connect,
        model=MODEL,
        price=price,
        secret=KEY,
        settings=settings,
        sleep=session.sleep,
        chance=lambda: 1.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A session that is over."""

    result: SessionResult
    session: FakeSession
    fake: FakeMessages

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return self.fake.bodies


@asynccontextmanager
async def at_work(
    model: Model,
    session: FakeSession,
    *,
    settings: ClaudeSettings | None = None,
    context_window: int = 1_000_000,
) -> AsyncIterator[tuple[FakeMessages, asyncio.Task[SessionResult]]]:
    """A session while it runs; it is ended with the block."""
    async with running_fake(model, api_key=KEY, context_window=context_window) as fake:
        work = asyncio.create_task(driver(fake, session, settings=settings).drive(session))
        try:
            yield fake, work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def play(
    model: Model,
    session: FakeSession | None = None,
    *,
    settings: ClaudeSettings | None = None,
    context_window: int = 1_000_000,
) -> Played:
    """A session from its beginning to its end."""
    session = session or FakeSession()
    async with at_work(model, session, settings=settings, context_window=context_window) as (
        fake,
        work,
    ):
        return Played(result=await work, session=session, fake=fake)


def results_in(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tool results of a request's last message."""
    return [block for block in body["messages"][-1]["content"] if block["type"] == "tool_result"]


def texts_in(message: Mapping[str, Any]) -> str:
    return "\n".join(block["text"] for block in message["content"] if block["type"] == "text")


@dataclass(kw_only=True)
class HalfAnswer:
    """A client of the SDK's whose stream stands still in the middle of a text."""

    text: str
    said: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    @property
    def beta(self) -> HalfAnswer:
        return self

    @property
    def messages(self) -> HalfAnswer:
        return self

    async def create(self, **_asked: Any) -> HalfAnswer:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.closed = True

    async def __aiter__(self) -> AsyncIterator[Event]:
        usage = {"input_tokens": 10, "output_tokens": 3}
        yield Event({"type": "message_start", "message": {"model": MODEL, "usage": usage}})
        block = {"type": "text", "text": ""}
        yield Event({"type": "content_block_start", "index": 0, "content_block": block})
        delta = {"type": "text_delta", "text": self.text}
        yield Event({"type": "content_block_delta", "index": 0, "delta": delta})
        self.said.set()
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream, as the SDK gives it."""

    given: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.given
