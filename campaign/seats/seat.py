"""One session at work, as the world outside reaches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from operators.external import KeptSession, Left, SessionFacts, attend
from operators.session import Driver, Session
from operators.toolbox.answer import Answer
from operators.toolbox.approvals import Decision
from operators.toolbox.equipment import Desk

from campaign.errors import BusyError
from campaign.model import MessageSent, SessionOutcome, SessionResult, Spend
from campaign.seats.approvals import WaitingCalls
from campaign.seats.calls import Calls
from campaign.seats.keyring import Keyring
from campaign.seats.mailbox import Mailbox

#: starting: not yet at work; operator: its own driver; waiting: nobody yet; taken: somebody outside
SeatState: TypeAlias = Literal["starting", "operator", "waiting", "taken", "over"]

_TAKEN_OVER = "a person took the session over"
_NOT_TAKEN = "a person wanted the session and left again: its operator begins anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a call from outside is answered."""

    answer: Answer
    #: what people have said meanwhile
    messages: Sequence[str] = ()


class OpenSeat:
    """Implements `operators.external.Seat` and `.Place`."""

    def __init__(
        self, facts: SessionFacts, desk: Desk, keyring: Keyring, *, changed: Callable[[], None]
    ) -> None:
        assignment = facts.assignment
        self.id = f"{assignment.ticket.id}-s{assignment.session}"
        self.facts = facts
        self.desk = desk
        self.since = desk.now()
        self.calls_made = 0
        self.approvals = WaitingCalls(now=desk.now)
        self._keyring = keyring
        self._changed = changed
        self._session: KeptSession | None = None
        self._state: SeatState = "starting"
        #: set when the next state is entered
        self._entered = asyncio.Event()
        self._taken = False
        self._taken_over = False
        self._closed = False
        #: people who wait to take it over
        self._wishes = 0
        self._wanted = asyncio.Event()
        self._woken = asyncio.Event()
        self._left: Left | None = None
        self._fault: Exception | None = None
        self._mailbox = Mailbox()
        self._calls = Calls(self.id, broken=self._break)

    # -- what the operator that runs the session asks -------------------------------------------

    async def ask(self, approval: str, tool: str, arguments: Mapping[str, Any]) -> Decision:
        return await self.approvals.ask(approval, tool, arguments)

    async def messages(self) -> Sequence[str]:
        return self._mailbox.take()

    async def drive(self, driver: Driver, session: Session) -> SessionResult:
        self._session = kept = KeptSession(session)
        self._enter("operator")
        while True:
            result = await self._driven(driver, kept)
            if result is not None:
                return self._marked(result)
            if self._wishes:
                return self._marked(await self._hand_on(driver, kept))
            # Whoever wanted it has left meanwhile, and the trial is still its operator's.
            kept.begin_anew()
            kept.trace.remark(_NOT_TAKEN)

    async def _driven(self, driver: Driver, session: KeptSession) -> SessionResult | None:
        """The driver's result; None: it has left, because a person wanted the session."""
        self._wanted.clear()
        working = asyncio.create_task(driver.drive(session), name=f"drive {self.id}")
        wanted = asyncio.create_task(self._wanted.wait(), name=f"take over {self.id}")
        try:
            await asyncio.wait({working, wanted}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return session.with_all(working.result())
            # It leaves first, so that no two are at work at once.
            working.cancel()
            await asyncio.wait({working})
        finally:
            for task in (working, wanted):
                task.cancel()
            await asyncio.gather(working, wanted, return_exceptions=True)
        if session.resolved:
            return SessionResult(outcome=SessionOutcome.RESOLVED, spend=session.spend)
        return None

    async def _hand_on(self, driver: Driver, session: KeptSession) -> SessionResult:
        self._taken = True
        if driver.traces_itself:
            session.trace_calls()
        await self._note_taken_over(session)
        return await attend(session, self)

    async def _note_taken_over(self, session: Session) -> None:
        self._taken_over = True
        await self._say(_TAKEN_OVER)
        session.trace.remark(_TAKEN_OVER)

    def _marked(self, result: SessionResult) -> SessionResult:
        """What a person helped with is not the operator's own."""
        if not self._taken_over:
            return result
        reason = f"{_TAKEN_OVER}; {result.reason}" if result.reason else _TAKEN_OVER
        return replace(result, reason=reason)

    # -- what the driver that waits for somebody asks -------------------------------------------

    @contextmanager
    def offered(self, session: Session) -> Iterator[None]:
        if self._session is None:
            self._session = KeptSession(session)
        self._enter("taken" if self._taken else "waiting")
        try:
            yield
        finally:
            self._enter("over")

    @property
    def taken(self) -> bool:
        return self._taken

    @property
    def spend(self) -> Spend:
        return Spend() if self._session is None else self._session.spend

    async def left(self) -> Left | None:
        await self._woken.wait()
        self._woken.clear()
        if self._fault is not None:
            raise self._fault
        return self._left

    # -- what is asked from outside -------------------------------------------------------------

    @property
    def state(self) -> SeatState:
        return "over" if self._is_ending else self._state

    @property
    def is_closed(self) -> bool:
        """Nothing of it is under way any more."""
        return self._closed

    @property
    def _is_ending(self) -> bool:
        """It is resolved or given back, and its driver is about to hear of it."""
        resolved = self._session is not None and self._session.resolved
        return self._left is not None or resolved

    @property
    def session(self) -> Session:
        """Raises BusyError when it is not at work."""
        if self._session is None or self.state in {"starting", "over"}:
            raise BusyError(
                f"session {self.id} is {self.state}",
                hint="`ratchet operator wait` takes the next ticket",
            )
        return self._session

    def hand_over(self) -> str:
        """A token for whoever has it now; the one before is dead."""
        _ = self.session
        self._keyring.withdraw(self.id)
        self._taken = True
        self._enter("taken")
        return self._keyring.issue(self.id)

    async def take_over(self) -> str:
        """The same from anybody, when the driver at work has left.

        Raises:
            BusyError: the session ended first.
        """
        session = self.session
        if self._state == "operator":
            await self._wait_for_it()
        elif self._state == "taken":
            await self._note_taken_over(session)
        return self.hand_over()

    async def _wait_for_it(self) -> None:
        """Until the driver has left; nobody who is cancelled here wants it any more."""
        self._wishes += 1
        self._wanted.set()
        try:
            while self._state == "operator":
                entered = self._entered
                await entered.wait()
        finally:
            self._wishes -= 1

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Reply:
        """One tool's answer. Whoever cancels this ends the call, but no deployment.

        Each call that was begun is a turn, also one that nobody waits for any more.

        Raises:
            BusyError: the session is over, or too many calls are under way.
            HarnessError: the harness failed; that ends the session.
        """
        session = self.session
        if spent := session.over_budget():
            self._woken.set()
            raise BusyError(f"session {self.id} is over: {spent}")
        self._calls.require_room(session, turns=self.spend.turns)
        try:
            answer = await self._calls.make(session, tool, arguments)
        finally:
            self.calls_made += 1
            await self._one_more_turn()
        if answer.ends_session or session.resolved:
            self._woken.set()
        return Reply(answer=answer, messages=self._mailbox.take_for(session.trace))

    def put_back(self, messages: Sequence[str]) -> None:
        """Of a reply that did not arrive: the next one has them."""
        self._mailbox.put_back(messages)

    def release(self, reason: str) -> None:
        """Give it back unresolved; that ends it.

        Raises:
            BusyError: it is not theirs to give.
        """
        _ = self.session
        if self._state != "taken":
            raise BusyError(f"session {self.id} is its operator's; nobody outside has it")
        if self._left is None:
            self._left = Left(reason=reason or "given back without a reason")
        self._woken.set()

    async def say(self, text: str) -> None:
        """To whoever is at work; on record when it returns."""
        _ = self.session
        await self._say(text)
        self._mailbox.put(text)

    async def close(self) -> None:
        """No token of it opens anything any more; calls under way end."""
        self._keyring.withdraw(self.id)
        self._enter("over")
        session = self._session
        await self._calls.close(resolved=session is not None and session.resolved)
        self._closed = True

    # -- how ------------------------------------------------------------------------------------

    def _enter(self, state: SeatState) -> None:
        if self._state == "over":
            return
        self._state = state
        self._entered.set()
        self._entered = asyncio.Event()
        self._changed()

    async def _say(self, text: str) -> None:
        assignment = self.facts.assignment
        await self.desk.record(
            MessageSent(
                at=self.desk.now(),
                trial=assignment.trial,
                ticket=assignment.ticket.id,
                session=assignment.session,
                text=text,
            )
        )

    def _break(self, fault: Exception) -> None:
        """Not theirs: the session ends as the harness's own failures do."""
        self._fault = fault
        self._woken.set()

    async def _one_more_turn(self) -> None:
        assert self._session is not None  # noqa: S101 - a call was made on it
        with suppress(Exception):  # a campaign that is over records nothing, and needs nothing
            await self._session.one_more_turn()
