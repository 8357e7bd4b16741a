"""The tasks at work for a campaign: named, reaped, and ended within a grace period."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from campaign.shell.inbox import CampaignOverError

log = structlog.get_logger(__name__)

#: what is told to end may take this long, seconds
GRACE_S = 10.0


class Crew:
    """Starts tasks and knows which are still at work."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CampaignOverError):
            log.error("task_crashed", task=task.get_name(), exc_info=error)

    async def dismiss(self) -> None:
        """Cancel everything; what ignores that for longer than the grace period is left."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=GRACE_S)
            for task in stuck:
                log.warning("task_stuck", task=task.get_name())


async def see_through(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` whatever interrupts; an interruption is passed on afterwards."""
    task = asyncio.create_task(work, name="see_through")
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancelled:
            interruption = cancelled
    if interruption is not None:
        raise interruption
    task.result()
