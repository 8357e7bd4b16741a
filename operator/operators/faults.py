"""Failures that are the harness's, told from what an operator does wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from operators.session import ToolSpec
from operators.toolbox.answer import Answer
from operators.toolbox.toolbox import Toolbox

T = TypeVar("T")


class Faults:
    """Of one session: whatever its driver makes of the first of them, that is how it ends."""

    def __init__(self) -> None:
        self.first: Exception | None = None
        self._happened = asyncio.Event()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What is raised within is nobody's but the harness's."""
        try:
            yield
        except Exception as fault:
            self.first = self.first or fault
            self._happened.set()
            raise

    async def ends(self, work: Coroutine[Any, Any, T], *, broken: Callable[[Exception], T]) -> T:
        """What `work` comes to; it is cancelled at the first fault.

        `broken` says what it comes to when it fails by itself.

        Raises:
            Exception: the fault, whatever became of `work`.
        """
        working = asyncio.create_task(work, name="session")
        failing = asyncio.create_task(self._happened.wait(), name="fault")
        try:
            await asyncio.wait({working, failing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, failing):
                task.cancel()
            await asyncio.gather(working, failing, return_exceptions=True)
        if self.first is not None:
            raise self.first
        try:
            return working.result()
        except Exception as error:  # noqa: BLE001 - whoever knows says what it means
            return broken(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTools:
    """A toolbox whose failures are noted; implements `operators.session.Tools`."""

    toolbox: Toolbox
    faults: Faults

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return self.toolbox.specs

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        with self.faults.noted():
            return await self.toolbox.call(tool, arguments, call=call)
