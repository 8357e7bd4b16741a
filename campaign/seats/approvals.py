"""The calls of one session that wait for a person's word."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from operators.external import SessionFacts
from operators.toolbox.approvals import Decision
from operators.toolbox.equipment import Desk

from campaign.errors import BusyError, NotFoundError
from campaign.model import ApprovalAnswered, ApprovalAsked

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCall:
    """A call that goes on when somebody answers."""

    approval: str
    tool: str
    arguments: Mapping[str, Any]
    #: epoch seconds
    asked_at: float
    decided: asyncio.Future[Decision]


class WaitingCalls:
    """Asked and answered on record, whichever way a call ends."""

    def __init__(self, facts: SessionFacts, desk: Desk) -> None:
        self._assignment = facts.assignment
        self._desk = desk
        self._asked = 0
        self._waiting: dict[str, WaitingCall] = {}
        self._notes: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> Sequence[WaitingCall]:
        return tuple(self._waiting.values())

    async def ask(self, tool: str, arguments: Mapping[str, Any]) -> Decision:
        """See `operators.toolbox.approvals.Approvals`."""
        self._asked += 1
        call = WaitingCall(
            approval=f"{self._assignment.ticket.id}-s{self._assignment.session}-a{self._asked}",
            tool=tool,
            arguments=dict(arguments),
            asked_at=self._desk.now(),
            decided=asyncio.get_running_loop().create_future(),
        )
        await self._desk.record(
            ApprovalAsked(
                **self._whose(),
                at=call.asked_at,
                approval=call.approval,
                tool=tool,
                arguments=dict(arguments),
            )
        )
        self._waiting[call.approval] = call
        try:
            return await call.decided
        finally:
            if self._waiting.pop(call.approval, None) is not None:
                self._note(self._answered(call.approval, Decision(granted=False, reason=_LEFT)))

    async def answer(self, approval: str, decision: Decision) -> None:
        """The call goes on when the answer is on record.

        Raises:
            NotFoundError: nothing waits under this name.
            BusyError: whoever asked has gone meanwhile.
        """
        call = self._waiting.pop(approval, None)
        if call is None:
            raise NotFoundError(
                f"no call waits for approval {approval}",
                hint="`ratchet operator approve` lists those that do",
            )
        await self._answered(approval, decision)
        if call.decided.done():
            raise BusyError(f"the call that asked for {approval} is over")
        call.decided.set_result(decision)

    async def close(self) -> None:
        """What is still to be put on record is, as far as the campaign takes it."""
        await asyncio.gather(*self._notes, return_exceptions=True)

    # -- how ------------------------------------------------------------------------------------

    def _whose(self) -> dict[str, Any]:
        assignment = self._assignment
        return {
            "trial": assignment.trial,
            "ticket": assignment.ticket.id,
            "session": assignment.session,
        }

    async def _answered(self, approval: str, decision: Decision) -> None:
        await self._desk.record(
            ApprovalAnswered(
                **self._whose(),
                at=self._desk.now(),
                approval=approval,
                granted=decision.granted,
                reason=decision.reason,
            )
        )

    def _note(self, work: Coroutine[Any, Any, None]) -> None:
        """Whoever is being cancelled cannot wait for the journal."""

        async def note() -> None:
            with suppress(asyncio.CancelledError):
                try:
                    await work
                except Exception as error:  # noqa: BLE001 - such as a campaign that is over
                    log.info("approval_not_recorded", error=repr(error))

        task = asyncio.create_task(note(), name="approval_given_up")
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)


_LEFT = "the call ended before anybody answered"
