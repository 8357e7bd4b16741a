"""Which component is gone, which is back: seen from outside, by asking each of them.

Nobody here is told when a container ends. A component is known by when it started: an answer with
another start is another process. `judge` decides, with time as an argument; `Watch` asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from campaign.stack.interface import ComponentDown, ComponentEvent, ComponentUp

if TYPE_CHECKING:
    from campaign.stack.interface import ComponentName

#: how often each is asked
PERIOD_S = 1.0
#: one answer may be wrong about a refusal (a full queue, a name that is looked up anew)
REFUSALS = 2
#: one that is there but says nothing may only be busy
PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """It answers."""

    #: epoch seconds; of one process always the same number
    started_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nobody is there: no such name, no such socket, nobody who listens."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """Somebody may be there, and says nothing that is of use."""

    reason: str


Look: TypeAlias = Alive | Refused | Silent
Asking: TypeAlias = Callable[[], Awaitable[Look]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of one component."""

    name: str
    #: of the process that was seen last
    started_at: float | None = None
    is_down: bool = False
    refusals: int = 0
    silent_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is known now, and what is to be told of it."""

    seen: Seen
    events: tuple[ComponentEvent, ...] = ()


def judge(seen: Seen, look: Look, *, at: float) -> Judged:
    """Take up one look at the time `at` (seconds of any steady clock)."""
    match look:
        case Alive():
            return _alive(seen, look.started_at)
        case Refused():
            now = replace(seen, refusals=seen.refusals + 1)
            is_gone = now.refusals >= REFUSALS
        case Silent():
            since = at if seen.silent_since is None else seen.silent_since
            now = replace(seen, silent_since=since)
            is_gone = at - since >= PATIENCE_S
    if not is_gone or now.is_down:
        return Judged(seen=now)
    down = ComponentDown(name=seen.name, reason=look.reason)
    return Judged(seen=replace(now, is_down=True), events=(down,))


def _alive(seen: Seen, started_at: float) -> Judged:
    now = Seen(name=seen.name, started_at=started_at)
    up = ComponentUp(name=seen.name)
    if seen.is_down:
        return Judged(seen=now, events=(up,))
    if seen.started_at in {None, started_at}:
        return Judged(seen=now)
    down = ComponentDown(name=seen.name, reason="ended, and was started again")
    return Judged(seen=now, events=(down, up))


async def _asked(ask: Asking) -> Look:
    """Whatever goes wrong in asking, it is gone on with: one unwatched could go unnoticed."""
    try:
        return await ask()
    except Exception as error:  # noqa: BLE001 - it is told
        return Silent(reason=f"cannot be asked: {error!r}")


class Watch:
    """Asks each component by a task of its own, and tells one reader what happens to them."""

    def __init__(
        self,
        asking: Mapping[ComponentName, Asking],
        *,
        beside: Mapping[str, Asking] | None = None,
        period_s: float = PERIOD_S,
    ) -> None:
        self._asking = asking
        self._beside = beside or {}
        self._period_s = period_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._queue: asyncio.Queue[ComponentEvent | None] = asyncio.Queue()

    def begin(self, name: ComponentName) -> None:
        """Whatever answers now is the one that is watched."""
        self._tasks[name] = self._begun(name, self._asking[name], is_beside=False)

    def begin_beside(self) -> None:
        """Those that nothing judged rests on. One that was never there is not missed."""
        for name, ask in self._beside.items():
            self._tasks[name] = self._begun(name, ask, is_beside=True)

    async def release(self, name: ComponentName) -> None:
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
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        self._queue.put_nowait(None)

    def _begun(self, name: str, ask: Asking, *, is_beside: bool) -> asyncio.Task[None]:
        kept = self._keep(name, ask, is_beside=is_beside)
        return asyncio.create_task(kept, name=f"watch {name}")

    async def _keep(self, name: str, ask: Asking, *, is_beside: bool) -> None:
        clock = asyncio.get_running_loop().time
        seen = Seen(name=name)
        while True:
            look = await _asked(ask)
            if not is_beside or seen.started_at is not None or isinstance(look, Alive):
                judged = judge(seen, look, at=clock())
                seen = judged.seen
                for event in judged.events:
                    self.tell(_as_covered(event) if is_beside else event)
            await asyncio.sleep(self._period_s)


def _as_covered(event: ComponentEvent) -> ComponentEvent:
    return replace(event, covered=True) if isinstance(event, ComponentDown) else event
