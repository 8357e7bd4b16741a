"""Keeps the harness's own components up: sees one end, says so, starts it again, within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from campaign.identity import IdentityError
from campaign.stack.errors import StackError
from campaign.stack.interface import ComponentDown, ComponentEvent, ComponentUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from campaign.stack.service import Service

MAX_RESTARTS = 3
RESTART_WINDOW_S = 120.0
#: after a failed start: what the dead one held (a port, shared memory) is let go meanwhile
_PAUSE_S = 0.5


class RestartBudget:
    """At most `MAX_RESTARTS` in any `RESTART_WINDOW_S`; time is an argument."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()

    def take(self, *, at: float) -> bool:
        while self._taken and self._taken[0] <= at - RESTART_WINDOW_S:
            self._taken.popleft()
        if len(self._taken) >= MAX_RESTARTS:
            return False
        self._taken.append(at)
        return True


class Keeper:
    """Watches services by one named task each and tells one reader what happens to them."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._queue: asyncio.Queue[ComponentEvent | None] = asyncio.Queue()

    def watch(self, service: Service) -> None:
        task = asyncio.create_task(self._keep(service), name=f"keep {service.name}")
        self._tasks[service.name] = task

    async def release(self, name: str) -> None:
        """From here on its end is no event."""
        task = self._tasks.pop(name, None)
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})

    def tell(self, event: ComponentEvent) -> None:
        self._queue.put_nowait(event)

    async def events(self) -> AsyncIterator[ComponentEvent]:
        while (event := await self._queue.get()) is not None:
            yield event

    async def close(self) -> None:
        for name in tuple(self._tasks):
            await self.release(name)
        self._queue.put_nowait(None)

    async def _keep(self, service: Service) -> None:
        budget = RestartBudget()
        down = await self._ending(service)
        while budget.take(at=asyncio.get_running_loop().time()):
            self.tell(down)
            try:
                await service.start()
            except (IdentityError, StackError) as exc:
                down = ComponentDown(name=service.name, reason=str(exc))
                await asyncio.sleep(_PAUSE_S)
                continue
            self.tell(ComponentUp(name=service.name))
            down = await self._ending(service)
        reason = f"{down.reason}; given up after {MAX_RESTARTS} restarts"
        self.tell(
            ComponentDown(name=service.name, reason=reason, log_tail=down.log_tail, final=True)
        )

    async def _ending(self, service: Service) -> ComponentDown:
        exit_ = await service.ended()
        return ComponentDown(name=service.name, reason=exit_.reason, log_tail=exit_.log_tail)
