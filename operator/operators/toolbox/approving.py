"""A call that waits for a person: question and answer, both on record."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from campaign.model import ApprovalAnswered, ApprovalAsked
from operators.toolbox.approvals import Approvals, Decision
from operators.toolbox.bounds import head
from operators.toolbox.calls import Call
from operators.toolbox.errors import ToolError
from operators.toolbox.seen_through import seen_through
from operators.toolbox.tool import Work

log = structlog.get_logger(__name__)

_FILE = re.compile(r"^(?=diff --git )", re.MULTILINE)
_MIN_FILE_CHARS = 400
_LEFT = "the call ended before anybody answered"


class Approving:
    """Of one session."""

    def __init__(self, approvals: Approvals | None, work: Work, *, session: str) -> None:
        self._approvals = approvals
        self._work = work
        self._session = session
        self._asked = 0

    async def ask(
        self, call: Call, shown: Callable[[], Awaitable[Mapping[str, Any]]] | None
    ) -> None:
        """`shown`: what the person sees besides the call's own arguments.

        Raises:
            ToolError: refused, or there is nobody to ask.
        """
        if self._approvals is None:
            raise ToolError(
                f"{call.tool}: it needs a person's approval, and in this session there is nobody "
                "to ask: go on without it"
            )
        asked = call.kept
        if shown is not None:
            asked |= await shown()
        self._asked += 1
        approval = f"{self._session}-a{self._asked}"
        work = self._work
        await work.desk.record(
            ApprovalAsked(
                **work.whose,
                at=work.desk.now(),
                approval=approval,
                tool=call.tool,
                arguments=asked,
            )
        )
        try:
            decision = await self._approvals.ask(approval, call.tool, asked)
        except asyncio.CancelledError:
            await self._unanswered(approval)
            raise
        await self._answered(approval, decision)
        if not decision.granted:
            said = f": {decision.reason}" if decision.reason.strip() else ", without a reason"
            raise ToolError(f"{call.tool}: a person refused it{said}. Nothing was done.")

    async def _answered(self, approval: str, decision: Decision) -> None:
        work = self._work
        await work.desk.record(
            ApprovalAnswered(
                **work.whose,
                at=work.desk.now(),
                approval=approval,
                granted=decision.granted,
                reason=decision.reason,
            )
        )

    async def _unanswered(self, approval: str) -> None:
        """Whatever interrupts; nobody can be told when it cannot be kept."""
        try:
            await seen_through(self._answered(approval, Decision(granted=False, reason=_LEFT)))
        except Exception as error:  # noqa: BLE001 - such as a campaign that is over
            log.info("approval_not_kept", approval=approval, reason=repr(error))


def for_people(diff: str, limit: int) -> str:
    """The beginning of each file's part of a unified diff, so that none hides behind another."""
    if len(diff) <= limit:
        return diff
    parts = [part for part in _FILE.split(diff) if part]
    room = max(_MIN_FILE_CHARS, limit // len(parts))
    cut = "\n".join(head(part, room).rstrip("\n") for part in parts)
    files = f"[{len(parts)} files; {len(diff)} characters in all]"
    return head(f"{files}\n{cut}\n", limit)
