"""The database's log is bounded: what an app or its operator can have written to it is not.

Postgres bounds its log by time alone. So the harness looks at it every second, and puts aside what
is too long: of both the newest lines can be read, and at most twice the bound lies on the disk,
with what is written within that second.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import structlog

from campaign.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

LIMIT_BYTES = 64 << 20
_PERIOD_S = 1.0
_CHUNK_BYTES = 1 << 20

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class LogBound:
    """Keeps one log short, from `begin` to `close`."""

    path: Path
    #: leaves a file at `path` that is empty, or none; raises StackError or OSError
    put_aside: Callable[[], Awaitable[None]]
    limit_bytes: int = LIMIT_BYTES
    period_s: float = _PERIOD_S
    _task: asyncio.Task[NoReturn] | None = field(default=None, init=False)

    def begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name=f"bound {self.path.name}")

    async def close(self) -> None:
        """Twice is fine."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _keep(self) -> NoReturn:
        told = False
        while True:
            try:
                if self._is_too_long():
                    await self.put_aside()
                told = False
            except (StackError, OSError) as error:
                if not told:
                    log.warning("log_not_bounded", path=str(self.path), reason=str(error))
                told = True
            await asyncio.sleep(self.period_s)

    def _is_too_long(self) -> bool:
        """One that is gone is still written to, under another name."""
        try:
            return self.path.stat().st_size > self.limit_bytes
        except FileNotFoundError:
            return aside(self.path).exists()


def aside(path: Path) -> Path:
    """Where what is put aside is."""
    return path.with_name(f"{path.name}.1")


async def cut(path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
    """Put aside the end of a log whose writer appends to it, and knows nothing of us.

    What it writes between the copy and the cut is lost. Raises OSError.
    """
    await asyncio.to_thread(_cut, path, limit_bytes)


def _cut(path: Path, limit_bytes: int) -> None:
    new = path.with_name(f".{path.name}.new")
    with path.open("r+b") as file:
        left = limit_bytes
        file.seek(max(0, file.seek(0, 2) - limit_bytes))
        with new.open("wb") as copy:
            # No further than it was long: its writer may be as quick as we are.
            while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
                copy.write(chunk)
                left -= len(chunk)
        file.truncate(0)
    new.replace(aside(path))
