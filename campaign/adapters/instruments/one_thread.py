"""Blocking work in a thread of its own, one piece after the other.

The threads that all share may be busy with reading for an operator; what watches him must not wait
behind that, nor the rest of the harness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def _nothing() -> None:
    pass


class OneThread:
    """Its thread ends once it is closed or forgotten, and what is under way is done."""

    def __init__(self, name: str, *, begins: Callable[[], None] = _nothing) -> None:
        """`begins` is the first that its thread does."""
        self._thread = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix=name, initializer=begins
        )

    async def run(self, work: Callable[[], T]) -> T:
        """A caller that is cancelled before its turn leaves nothing to be done."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
