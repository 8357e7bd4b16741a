"""Several asynchronous iterators as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    error: Exception | None = None


async def merged(
    first: AsyncIterator[ItemT], *others: AsyncIterator[ItemT]
) -> AsyncGenerator[ItemT, None]:
    """What any of them yields, as it comes; ends when `first` does. An error of any is raised."""
    found: asyncio.Queue[ItemT | _End] = asyncio.Queue()

    async def drain(source: AsyncIterator[ItemT]) -> None:
        try:
            async for item in source:
                found.put_nowait(item)
        except Exception as error:  # noqa: BLE001 - raised by whoever iterates
            found.put_nowait(_End(error=error))
        else:
            if source is first:
                found.put_nowait(_End())

    tasks = [asyncio.create_task(drain(each), name="merged") for each in (first, *others)]
    try:
        while not isinstance(item := await found.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
