"""Comparing what the app tells with what is stored, while others go on writing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from campaign.gates.finding import expect

ValueT = TypeVar("ValueT")

#: a row that changes in each of as many looks changes too often to be looked at
_TRIES = 4


async def expect_agreement(
    what: str,
    *,
    stored: Callable[[], Awaitable[ValueT]],
    told: Callable[[], Awaitable[ValueT]],
) -> ValueT:
    """What both say. What is told must be what was stored just before, or is just after.

    Raises:
        AppFailedError: it is neither, and not by chance.
    """
    before = await stored()
    for _ in range(_TRIES):
        answer = await told()
        if answer == before:
            return answer
        after = await stored()
        if answer == after:
            return answer
        if before == after:
            break
        before = after
    expect(what, expected=after, actual=answer)
    return answer
