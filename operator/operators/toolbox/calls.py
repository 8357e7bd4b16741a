"""The calls of one session: their names, whose turn it is, and what is kept of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from campaign.model import ActionTaken
from operators.toolbox.answer import Answer
from operators.toolbox.bounds import bounded, head, plain
from operators.toolbox.tool import Deed, Effect, Work

#: more than this of an argument or a diff is not journaled: edits are replayed from there
JOURNALED_CHARS = 100_000
#: more than this of a result is not journaled
RESULT_CHARS = 20_000
_NAME_CHARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, as it was made."""

    id: str
    tool: str
    #: whatever the caller sent
    arguments: Any
    #: what it has done so far
    deed: Deed

    @property
    def kept(self) -> dict[str, Any]:
        """Its arguments as they go on record: each text bounded, and all of them together."""
        sent = self.arguments if isinstance(self.arguments, Mapping) else {"": self.arguments}
        kept: dict[str, Any] = bounded(sent, chars=JOURNALED_CHARS)
        return kept


class CallNames:
    """Each is given once in a session, whatever callers call their calls."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._given: set[str] = set()
        self._count = 0

    def name(self, wanted: str) -> str:
        """As wanted, if it can be; empty: one is made up."""
        self._count += 1
        made_up = f"{self._prefix}{self._count}"
        name = plain(wanted)[:_NAME_CHARS] if wanted else made_up
        if name in self._given:
            name = f"{name}-{self._count}"
        self._given.add(name)
        return name


class Turns:
    """Who may go on: what changes something goes alone, in the order of the calls."""

    def __init__(self) -> None:
        self._order = asyncio.Lock()
        self._busy = 0
        self._idle = asyncio.Event()

    @asynccontextmanager
    async def turn(self, effect: Effect) -> AsyncIterator[None]:
        if effect is Effect.READS:
            with self._under_way():
                yield
        else:
            async with self._order:
                yield

    async def idle(self) -> None:
        """Wait until nothing that only looks on is under way."""
        while self._busy:
            self._idle.clear()
            await self._idle.wait()

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()


def action(work: Work, call: Call, answer: Answer, *, duration_s: float) -> ActionTaken:
    """What the journal keeps of a call."""
    diff = plain(answer.diff or call.deed.diff)
    exit_code = call.deed.exit_code if answer.exit_code is None else answer.exit_code
    return ActionTaken(
        **work.whose,
        at=work.desk.now(),
        tool=call.tool,
        arguments=call.kept,
        result=head(answer.text, RESULT_CHARS),
        is_error=answer.is_error,
        duration_s=duration_s,
        edit=bool(diff),
        call=call.id,
        exit_code=exit_code,
        diff=head(diff, JOURNALED_CHARS),
        diff_cut=answer.diff_cut or len(diff) > JOURNALED_CHARS,
    )
