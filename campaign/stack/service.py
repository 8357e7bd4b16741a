"""A component: a process together with what tells that it is ready."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign.stack.errors import ComponentFailedError
from campaign.stack.processes import Child, ProcessExit, ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from campaign.stack.record import StackRecordFile

_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What to start and when to call it started."""

    process: ProcessSpec
    #: asked every 50 ms; must answer False, not raise, while the process is coming up
    is_ready: Callable[[], Awaitable[bool]]
    ready_timeout_s: float = 20.0

    @property
    def name(self) -> str:
        return self.process.name


class Service:
    """Starts and stops one component, and keeps it in the run folder's record if it has one."""

    def __init__(self, spec: ServiceSpec, record: StackRecordFile | None = None) -> None:
        self.spec = spec
        self._record = record
        self._child: Child | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.is_running else None

    async def start(self) -> None:
        """Start and wait until ready.

        Raises:
            ComponentFailedError: it ended first, or was not ready in time (then it is stopped).
        """
        child = self._child = await Child.start(self.spec.process)
        if self._record is not None:
            self._record.add(child)
        try:
            await self._until_ready(child)
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def ended(self) -> ProcessExit:
        """Wait until the process of this moment ends."""
        if self._child is None:
            raise ComponentFailedError(self.name, "was never started", ())
        return await self._child.ended()

    async def stop(self) -> None:
        """Stop it if it runs; stopping twice is fine."""
        if self._child is not None:
            await self._child.stop()
            self._child = None
            if self._record is not None:
                self._record.remove(self.name)

    async def _until_ready(self, child: Child) -> None:
        ended = asyncio.create_task(child.ended(), name=f"{self.name} ended")
        try:
            async with asyncio.timeout(self.spec.ready_timeout_s):
                while not ended.done() and not await self.spec.is_ready():
                    await asyncio.wait({ended}, timeout=_POLL_S)
        except TimeoutError as exc:
            reason = f"was not ready within {self.spec.ready_timeout_s:g} s"
            raise ComponentFailedError(self.name, reason, tuple(child.log_tail())) from exc
        finally:
            finished = ended.done()
            ended.cancel()
        if finished:
            exit_ = ended.result()
            raise ComponentFailedError(self.name, exit_.reason, exit_.log_tail)
