"""A session that a command-line agent works on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from campaign.model import SessionOutcome, SessionResult
from operators.command.adapter import AgentAdapter
from operators.command.mcp_server import ToolServer
from operators.command.outcome import REFUSED_KEY, Ending, judge, refused_key
from operators.command.runner import (
    AgentProcess,
    AgentRunner,
    ApiAnswer,
    Exit,
    Invocation,
    Launch,
    Places,
    RunnerError,
)
from operators.command.streams import PARSERS, TELLS_CALLS
from operators.command.template import fill, fill_arguments
from operators.command.transcript import Transcript
from operators.session import Session
from operators.toolbox.seen_through import seen_through
from operators.trace.cost import NoPrices, Pricing

#: how often the budgets are looked at while the agent says nothing
_LOOK_S = 1.0
#: after it resolved the ticket, an agent may say its last and tell what it cost
_FAREWELL_S = 20.0
#: Linux takes no longer argument than 128 KiB
_ARGUMENT_BYTES = (128 << 10) - 1
#: an agent that writes more on its standard output than this is broken, or means harm
_OUTPUT_CHARS = 64 << 20
_OUTPUT_LINES = 100_000
#: so many lines are read before others get their turn
_LINES_AT_ONCE = 200

#: a key that was refused so often in a row is not tried again; some agents would for minutes
_REFUSALS = 3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often it is looked, and how long is waited, seconds."""

    look_s: float = _LOOK_S
    farewell_s: float = _FAREWELL_S
    #: for an agent that writes no more, until it has ended
    exit_s: float = 10.0


class CommandDriver:
    """Runs the agent that `adapter` describes, once a session."""

    def __init__(
        self,
        adapter: AgentAdapter,
        runner: AgentRunner,
        *,
        prices: Pricing | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`prices` say what it has cost while it runs: an agent itself tells at its end only."""
        self._prices = prices or NoPrices()
        self._adapter = adapter
        self._runner = runner
        self._patience = patience or Patience()

    @property
    def traces_itself(self) -> bool:
        """The agent tells of its tool calls: the toolbox must not trace them a second time."""
        return self._adapter.output in TELLS_CALLS

    async def drive(self, session: Session) -> SessionResult:
        """Run it until it ends, or a budget is spent; nothing of it is left afterwards.

        What a tool raises, for no fault of the agent's, is raised here.
        """
        run = _Run(self._adapter, self._runner, self._patience, session, prices=self._prices)
        return await run.drive()


class _Run:
    """One run of the agent."""

    def __init__(
        self,
        adapter: AgentAdapter,
        runner: AgentRunner,
        patience: Patience,
        session: Session,
        *,
        prices: Pricing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._adapter = adapter
        self._runner = runner
        self._patience = patience
        self._session = session
        self._clock = clock
        self._tools = ToolServer(session, clock=clock, keeps=adapter.output in TELLS_CALLS)
        self._transcript = Transcript(
            trace=session.trace,
            answers=self._tools,
            prices=prices,
            tool_prefix=adapter.tool_prefix,
            clock=clock,
        )
        self._parse = PARSERS[adapter.output]
        self._api: ApiAnswer | None = None
        self._over_budget = ""
        self._ended_because = ""
        self._key_refused = ""
        self._chars = 0
        self._lines = 0
        self._refused = 0
        #: there is something to look at before the next look is due
        self._woken = asyncio.Event()

    async def drive(self) -> SessionResult:
        if problem := self._unfit():
            return SessionResult(outcome=SessionOutcome.UNAVAILABLE, reason=problem)
        launch = Launch(
            adapter=self._adapter,
            fill=self._fill,
            serve_tools=self._tools.serve,
            may_not_call=self._may_not_call,
            answered=self._answered,
            noted=self._transcript.note,
            base_url=self._session.options.base_url,
        )
        self._session.trace.user_message(_whole(self._session))
        try:
            left = await self._whole_run(launch)
        except RunnerError as error:
            # No operator is to be blamed for what is not installed or set: the campaign waits.
            spend = self._transcript.spend
            outcome = SessionOutcome.UNAVAILABLE
            return SessionResult(outcome=outcome, reason=str(error), spend=spend)
        return await self._result(left)

    async def _whole_run(self, launch: Launch) -> Exit:
        """Until nothing of it is left; what it spent is on record however that comes about."""
        try:
            try:
                async with self._runner.run(launch) as agent:
                    return await self._follow(agent)
            finally:
                # The last calls of the model are counted when the agent has gone.
                self._transcript.close()
        except BaseException:
            await self._keep_spend()
            raise

    async def _keep_spend(self) -> None:
        """Nobody can be told when it cannot be kept: why the session ends is told."""
        try:
            await seen_through(self._session.spent(self._transcript.spend))
        except Exception as error:  # noqa: BLE001 - such as a campaign that is over
            log.warning("spend_not_kept", reason=repr(error))

    def _unfit(self) -> str:
        provider = self._session.options.provider
        if provider != "anthropic":
            return (
                f"{self._adapter.title} reaches its model by the adapter's model_api or a base "
                f"URL, not by {provider}: leave the provider out"
            )
        if self._adapter.in_arguments and len(_whole(self._session).encode()) > _ARGUMENT_BYTES:
            return "the prompt is too long for an argument: let the adapter's stdin be ${prompt}"
        return ""

    def _fill(self, places: Places) -> Invocation:
        session, adapter = self._session, self._adapter
        budget, options = session.assignment.budget, session.options
        values = {
            "prompt": _whole(session),
            "role": session.briefing.role,
            "ticket": _ticket(session),
            "model": options.model,
            "effort": options.effort,
            "max_usd": None if budget.usd is None else f"{budget.usd:.4f}",
            "max_turns": None if budget.turns is None else str(budget.turns),
            "tools_url": places.tools_url,
            "model_url": places.model_url,
            "home": places.home,
        }
        return Invocation(
            arguments=fill_arguments(adapter.arguments, values),
            stdin=fill(adapter.stdin, values),
            environment={name: fill(text, values) for name, text in adapter.environment.items()},
            files={path: fill(text, values) for path, text in adapter.files.items()},
        )

    async def _follow(self, agent: AgentProcess) -> Exit:
        """Read it while looking at the budgets, also when it says nothing."""
        reading = asyncio.create_task(self._read(agent), name="agent-output")
        reading.add_done_callback(lambda _: self._woken.set())
        resolved_at: float | None = None
        try:
            while not reading.done():
                await self._look()
                if self._session.resolved and resolved_at is None:
                    resolved_at = self._clock()
                if self._must_end(resolved_at):
                    break
            if reading.done():
                reading.result()
            by_itself = reading.done() and not self._told_to_end
            return await agent.end(patience_s=self._patience.exit_s if by_itself else 0.0)
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _look(self) -> None:
        """Wait until there is something to look at; put on record what was spent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.look_s):
                await self._woken.wait()
        self._woken.clear()
        await self._session.spent(self._transcript.spend)

    def _must_end(self, resolved_at: float | None) -> bool:
        if resolved_at is not None:
            return self._clock() - resolved_at >= self._patience.farewell_s
        self._over_budget = self._over_budget or self._session.over_budget()
        return bool(self._over_budget or self._told_to_end or self._tools.failure)

    @property
    def _told_to_end(self) -> bool:
        return bool(self._ended_because or self._key_refused)

    async def _read(self, agent: AgentProcess) -> None:
        while (line := await agent.line()) is not None:
            self._chars += len(line)
            self._lines += 1
            if self._chars > _OUTPUT_CHARS or self._lines > _OUTPUT_LINES:
                most = f"{_OUTPUT_CHARS >> 20} MiB or {_OUTPUT_LINES:,} lines"
                self._ended_because = f"the agent wrote more than {most}"
                return
            for record in self._parse(line):
                self._transcript.take(record)
            self._session.count(self._transcript.spend)
            if self._lines % _LINES_AT_ONCE == 0:
                # Lines that are there already are read without ever waiting.
                await asyncio.sleep(0)

    def _may_not_call(self) -> str:
        """The relay asks before each call of the model, also of one that only says farewell."""
        self._over_budget = self._over_budget or self._session.over_budget()
        return self._over_budget

    def _answered(self, answer: ApiAnswer) -> None:
        """The budgets know at once: an agent may call its model without a word to us."""
        self._api = answer
        self._transcript.heard(answer)
        self._session.count(self._transcript.spend)
        self._refused = self._refused + 1 if answer.status in REFUSED_KEY else 0
        if self._refused >= _REFUSALS:
            self._key_refused = refused_key(answer)
        self._woken.set()

    async def _result(self, left: Exit) -> SessionResult:
        spend = self._transcript.spend
        await self._session.spent(spend)
        if self._tools.failure is not None:
            raise self._tools.failure
        verdict = judge(
            Ending(
                resolved=self._session.resolved,
                exit=left,
                finished=self._transcript.finished,
                api=self._api,
                last_words=self._transcript.last_words,
                over_budget=self._over_budget,
                ended_because=self._ended_because,
                key_refused=self._key_refused,
            )
        )
        return SessionResult(outcome=verdict.outcome, reason=verdict.reason, spend=spend)


def _ticket(session: Session) -> str:
    briefing = session.briefing
    return "\n\n".join(part for part in (briefing.prior, briefing.ticket) if part)


def _whole(session: Session) -> str:
    return "\n\n".join(part for part in (session.briefing.role, _ticket(session)) if part)
