"""Virtual time for asyncio: nothing ever waits, and every timer fires in its order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")

#: Where virtual time begins, epoch seconds.
BEGIN_AT = 1_000_000.0


class Deadlock(Exception):  # noqa: N818 - it is what happened
    """Every task waits for another one; in real time this would wait forever."""


class _Impatient(selectors.BaseSelector):
    """A selector that lets time pass instead of waiting."""

    def __init__(self) -> None:
        self.now = BEGIN_AT
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready and timeout is None:
            raise Deadlock
        if not ready and timeout is not None:
            self.now += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as all tasks wait."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._impatient.now


class VirtualClock:
    """The `Clock` port in virtual time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def play(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end in virtual time.

    Raises:
        Deadlock: it would never end.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
