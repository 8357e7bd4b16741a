"""The calls of one session that wait for a person's word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.toolbox.approvals import Decision

from campaign.errors import NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCall:
    """A call that goes on when somebody answers."""

    #: its name on record
    approval: str
    tool: str
    arguments: Mapping[str, Any]
    #: epoch seconds
    asked_at: float
    decided: asyncio.Future[Decision]


class WaitingCalls:
    """Asked by the toolbox, which puts question and answer on record."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: dict[str, WaitingCall] = {}

    @property
    def waiting(self) -> Sequence[WaitingCall]:
        return tuple(self._waiting.values())

    async def ask(self, approval: str, tool: str, arguments: Mapping[str, Any]) -> Decision:
        """See `operators.toolbox.approvals.Approvals`."""
        call = WaitingCall(
            approval=approval,
            tool=tool,
            arguments=dict(arguments),
            asked_at=self._now(),
            decided=asyncio.get_running_loop().create_future(),
        )
        self._waiting[approval] = call
        try:
            return await call.decided
        finally:
            self._waiting.pop(approval, None)

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
