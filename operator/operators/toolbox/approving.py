"""A call that waits for a person: question and answer, both on record."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from campaign.model import ApprovalAnswered, ApprovalAsked
from operators.toolbox.approvals import Approvals
from operators.toolbox.bounds import head
from operators.toolbox.calls import JOURNALED_CHARS, Call
from operators.toolbox.errors import ToolError
from operators.toolbox.tool import Work

_FILE = re.compile(r"^(?=diff --git )", re.MULTILINE)
_MIN_FILE_CHARS = 400


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
        asked = call.kept(chars=JOURNALED_CHARS)
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
        decision = await self._approvals.ask(call.tool, asked)
        await work.desk.record(
            ApprovalAnswered(
                **work.whose,
                at=work.desk.now(),
                approval=approval,
                granted=decision.granted,
                reason=decision.reason,
            )
        )
        if not decision.granted:
            said = f": {decision.reason}" if decision.reason.strip() else ", without a reason"
            raise ToolError(f"{call.tool}: a person refused it{said}. Nothing was done.")


def for_people(diff: str, limit: int) -> str:
    """The beginning of each file's part of a unified diff, so that none hides behind another."""
    if len(diff) <= limit:
        return diff
    parts = [part for part in _FILE.split(diff) if part]
    room = max(_MIN_FILE_CHARS, limit // len(parts))
    cut = "\n".join(head(part, room).rstrip("\n") for part in parts)
    files = f"[{len(parts)} files; {len(diff)} characters in all]"
    return head(f"{files}\n{cut}\n", limit)
