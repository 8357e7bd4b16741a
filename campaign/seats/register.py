"""The sessions at work in this process, and who outside may reach them with what secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

import structlog
from operators.external import Place, Seat, SessionFacts
from operators.session import ToolSpec
from operators.toolbox.equipment import Desk

from campaign.errors import AccessError, BusyError, NotFoundError
from campaign.model import AccessRefused, Assignment
from campaign.seats.keyring import Bearer, Keyring
from campaign.seats.seat import OpenSeat

log = structlog.get_logger(__name__)

#: opens once, and gives the key that takes tickets
SEAT = "seat"
KEY = "key"
#: how often a client that waits is looked after, seconds
_LOOK_S = 0.5
#: more than so many refusals of a session are not put on record any more
_JOURNALED_REFUSALS = 20

TakeState: TypeAlias = Literal["ticket", "waiting", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of the wish for a ticket."""

    state: TakeState
    seat: OpenSeat | None = None
    token: str = ""


class Register:
    """Implements `operators.external.Seats` for one campaign."""

    def __init__(self, *, campaign: str, url: str) -> None:
        self.campaign = campaign
        self.url = url
        self.specs: Sequence[ToolSpec] = ()
        self._keyring = Keyring()
        #: who may claim the seat, once; None: it is claimed
        self.seat_token: str | None = self._keyring.issue(SEAT)
        #: all sessions of this process, by their id; those that are over too
        self._seats: dict[str, OpenSeat] = {}
        self._refusals: dict[str, int] = {}
        self._over = False
        self._changed = asyncio.Event()

    # -- what operators ask (see `operators.external.Seats`) ------------------------------------

    def expect(self, specs: Sequence[ToolSpec]) -> None:
        self.specs = tuple(specs)

    @asynccontextmanager
    async def open(self, facts: SessionFacts, desk: Desk) -> AsyncIterator[Seat]:
        seat = OpenSeat(facts, desk, self._keyring, changed=self._happened)
        self._seats[seat.id] = seat
        try:
            yield seat
        finally:
            await seat.close()

    def place(self, assignment: Assignment) -> Place:
        return self.seat(f"{assignment.ticket.id}-s{assignment.session}")

    # -- what is asked from outside -------------------------------------------------------------

    @property
    def seats(self) -> Sequence[OpenSeat]:
        """Oldest first."""
        return tuple(self._seats.values())

    def seat(self, session: str) -> OpenSeat:
        """Raises NotFoundError."""
        if (seat := self._seats.get(session)) is None:
            known = ", ".join(list(self._seats)[-5:]) or "none yet"
            raise NotFoundError(f"there is no session {session}", hint=f"there are: {known}")
        return seat

    def invite(self) -> str:
        """A new one-time token. Whoever has the seat keeps it until somebody claims it anew."""
        self._keyring.withdraw(SEAT)
        self.seat_token = self._keyring.issue(SEAT)
        return self.seat_token

    def claim(self, token: str) -> str:
        """The key that takes tickets; whoever had one has it no more.

        Raises:
            AccessError: the token is wrong, or was used before.
        """
        bearer = self._keyring.who(token)
        if bearer is None or bearer.holder != SEAT:
            raise AccessError(
                "this is not the seat token of the campaign that is played here",
                hint="it is printed when the campaign starts; `ratchet operator invite` makes one",
            )
        if not bearer.alive:
            raise AccessError(
                "the seat token was used already: it opens once",
                hint="go on as the user who claimed it, or ask for `ratchet operator invite`",
            )
        return self._new_key()

    def claim_for_owner(self, *, again: bool) -> str:
        """The same for whoever may start and stop campaigns here.

        Raises:
            BusyError: somebody has claimed it, and not `again`.
        """
        if self.seat_token is None and not again:
            raise BusyError(
                "somebody has claimed the seat already",
                hint="--again takes it from them; `ratchet operator take-over` takes one session",
            )
        return self._new_key()

    def _new_key(self) -> str:
        for holder in (SEAT, KEY):
            self._keyring.withdraw(holder)
        self.seat_token = None
        return self._keyring.issue(KEY)

    def require_key(self, token: str) -> None:
        """Raises AccessError."""
        bearer = self._keyring.who(token)
        if bearer is None or not bearer.alive or bearer.holder != KEY:
            raise AccessError(
                "the key of the seat is missing, or somebody else has claimed the seat since",
                hint="`ratchet operator invite` makes a new seat token",
            )

    async def take(
        self, key: str, *, wait_s: float, again: bool, gone: Callable[[], bool]
    ) -> Taken:
        """The next ticket, when there is one within `wait_s` and the client is not `gone`.

        `again`: also one that was taken already, whose token is dead then.

        Raises:
            AccessError: see `require_key`.
            BusyError: a ticket is taken, and not again.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            self.require_key(key)
            if self._over:
                return Taken(state="over")
            if gone():
                return Taken(state="waiting")
            # Nothing is awaited between finding it and handing it over.
            if (seat := self._to_take(again=again)) is not None:
                return Taken(state="ticket", seat=seat, token=seat.hand_over())
            left = deadline - loop.time()
            if left <= 0:
                return Taken(state="waiting")
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_S)):
                    await changed.wait()

    async def admitted(self, session: str, token: str) -> OpenSeat:
        """The session that this token opens.

        Raises:
            AccessError: it opens another, or none any more; on record when it was tried on a
                session at work.
        """
        bearer = self._keyring.who(token)
        seat = self._seats.get(session)
        if seat is not None and bearer is not None and bearer.alive and bearer.holder == session:
            return seat
        if bearer is not None and bearer.holder == session and _is_over(seat):
            raise AccessError(
                f"session {session} is over", hint="`ratchet operator wait` takes the next ticket"
            )
        await self._refuse(session, bearer)
        raise AccessError(
            f"this token does not open session {session}",
            hint="a token is good for one ticket, until that is closed or taken over",
        )

    def close(self) -> None:
        """The campaign is over: whoever waits is told."""
        self._over = True
        self._happened()

    # -- how ------------------------------------------------------------------------------------

    def _happened(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _to_take(self, *, again: bool) -> OpenSeat | None:
        for seat in self.seats:
            if seat.state == "waiting" or (again and seat.state == "taken"):
                return seat
            if seat.state == "taken":
                raise BusyError(
                    f"session {seat.id} is taken already",
                    hint="resolve or release it first; --again takes it from a client that is lost",
                )
        return None

    async def _refuse(self, session: str, bearer: Bearer | None) -> None:
        """Put it on record with the session that it was tried on, or else the latest."""
        whose = self._seats.get(session) or next(reversed(self._seats.values()), None)
        what = f"a call to session {session} {_with_what(bearer)}"
        if whose is None:
            return
        count = self._refusals[whose.id] = self._refusals.get(whose.id, 0) + 1
        if count > _JOURNALED_REFUSALS:
            return
        log.warning("access_refused", what=what)
        assignment = whose.facts.assignment
        with suppress(Exception):  # a campaign that is over records nothing
            await whose.desk.record(
                AccessRefused(
                    at=whose.desk.now(),
                    trial=assignment.trial,
                    ticket=assignment.ticket.id,
                    session=assignment.session,
                    what=what,
                )
            )


def _is_over(seat: OpenSeat | None) -> bool:
    return seat is not None and seat.state == "over"


def _with_what(bearer: Bearer | None) -> str:
    if bearer is None:
        return "with a token that was never given out"
    state = "token" if bearer.alive else "old token"
    return f"with the {state} of {bearer.holder}"
