"""The `external` operator: a ticket waits for whoever takes it, a person or any agent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from campaign.model import SessionOutcome, SessionResult
from operators.external.seats import Left, Place, Seats
from operators.session import Session

#: how often the budgets are looked at while nothing happens, seconds
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalDriver:
    """Waits; all the work is done by whoever takes the ticket, through the same tools."""

    seats: Seats
    #: the toolbox traces its calls
    traces_itself: bool = False

    async def drive(self, session: Session) -> SessionResult:
        briefing = session.briefing
        told = (briefing.role, briefing.prior, briefing.ticket)
        session.trace.user_message("\n\n".join(part for part in told if part))
        return await attend(session, self.seats.place(session.assignment))


async def attend(session: Session, place: Place) -> SessionResult:
    """Until it is resolved, given back, or its budget is spent, taken or not."""
    with place.offered(session):
        while True:
            left = await _something(place)
            if session.resolved:
                return SessionResult(outcome=SessionOutcome.RESOLVED, spend=place.spend)
            if left is not None:
                return SessionResult(
                    outcome=SessionOutcome.GAVE_UP, reason=left.reason, spend=place.spend
                )
            if spent := session.over_budget():
                reason = spent if place.taken else f"{spent}; nobody took the ticket"
                return SessionResult(
                    outcome=SessionOutcome.BUDGET_SPENT, reason=reason, spend=place.spend
                )


async def _something(place: Place) -> Left | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_S):
            return await place.left()
    return None
