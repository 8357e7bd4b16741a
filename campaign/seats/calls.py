"""The calls from outside that are under way in one session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from operators.session import Session
from operators.toolbox.answer import Answer
from operators.trace import TraceLostError

from campaign.errors import BusyError, HarnessError
from campaign.ports import PortError
from campaign.shell import CampaignOverError

log = structlog.get_logger(__name__)

#: that may run side by side
MAX_CALLS = 8
#: `resolve` itself is still to be answered when the ticket is resolved, seconds
_LAST_WORDS_S = 2.0
#: the harness's insides are none of the caller's business
_FAILED = "{tool} failed inside the harness; that is not your fault, and on its record"


class Calls:
    """`broken` is told what made the tools unusable: a fault of the harness, never the caller's."""

    def __init__(self, session: str, *, broken: Callable[[Exception], None]) -> None:
        self._session = session
        self._broken = broken
        self._under_way: set[asyncio.Task[Answer]] = set()
        self._closing = False

    def require_room(self, session: Session, *, turns: int) -> None:
        """Whether one more may begin when the session has had so many turns.

        Raises:
            BusyError: too many are under way, or those are the last that the budget allows.
        """
        under_way = len(self._under_way)
        if under_way >= MAX_CALLS:
            raise BusyError(
                f"{MAX_CALLS} calls of session {self._session} are under way",
                hint="wait for one of them to end",
            )
        limit = session.assignment.budget.turns
        if limit is not None and turns + under_way >= limit:
            raise BusyError(
                f"the calls under way are the last that the budget of {limit} turns allows",
                hint="wait for them to end",
            )

    async def make(self, session: Session, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Whoever cancels this ends the call, but no deployment.

        Raises:
            BusyError: the session ended during the call.
            HarnessError: the harness failed; `broken` knows why.
        """
        calling = asyncio.create_task(
            _call(session, tool, arguments), name=f"call {tool} {self._session}"
        )
        self._under_way.add(calling)
        calling.add_done_callback(self._under_way.discard)
        try:
            return await calling
        except asyncio.CancelledError:
            if self._closing and not _is_cancelled():
                raise BusyError(f"session {self._session} ended during the call") from None
            raise
        except CampaignOverError as error:
            raise BusyError(f"session {self._session} ended with its campaign") from error
        except Exception as error:
            log.exception("tool_failed", tool=tool, session=self._session)
            self._broken(_as_fault(tool, error))
            raise HarnessError(_FAILED.format(tool=tool)) from error

    async def close(self, *, resolved: bool) -> None:
        """Those under way end; nothing of them is left when this returns."""
        self._closing = True
        if self._under_way and resolved:
            await asyncio.wait(self._under_way, timeout=_LAST_WORDS_S)
        calls = tuple(self._under_way)
        for call in calls:
            if not call.cancelling():  # else its client has left, and it is ending
                call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def _call(session: Session, tool: str, arguments: Mapping[str, Any]) -> Answer:
    return await session.tools.call(tool, arguments)


def _as_fault(tool: str, error: Exception) -> Exception:
    """What ends the session as the harness's own failures do."""
    if isinstance(error, PortError | TraceLostError):
        return error
    return PortError("tools", f"{tool}: {error!r}")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
