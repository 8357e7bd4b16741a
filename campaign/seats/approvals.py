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

from campaign.errors import NotFoundError
from campaign.model import ApprovalAnswered

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
    """Asked by the toolbox, which puts question and answer on record, under the same names.

    That nobody answered, because the call ended first, is put on record here.
    """

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
        self._waiting[call.approval] = call
        try:
            return await call.decided
        finally:
            if self._waiting.pop(call.approval, None) is not None:
                self._note(self._unanswered(call.approval))

    def answer(self, approval: str, decision: Decision) -> None:
        """The call goes on, or does not.

        Raises:
            NotFoundError: nothing waits under this name.
        """
        call = self._waiting.get(approval)
        if call is None or call.decided.done():
            raise NotFoundError(
                f"no call waits for approval {approval}",
                hint="`ratchet operator approve` lists those that do",
            )
        del self._waiting[approval]
        call.decided.set_result(decision)

    async def close(self) -> None:
        """What is still to be put on record is, as far as the campaign takes it."""
        await asyncio.gather(*self._notes, return_exceptions=True)

    # -- how ------------------------------------------------------------------------------------

    async def _unanswered(self, approval: str) -> None:
        assignment = self._assignment
        await self._desk.record(
            ApprovalAnswered(
                at=self._desk.now(),
                trial=assignment.trial,
                ticket=assignment.ticket.id,
                session=assignment.session,
                approval=approval,
                granted=False,
                reason=_LEFT,
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
