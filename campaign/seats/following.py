"""Reads a trace while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from campaign.http_parts import ServerEvent
from campaign.seats.seat import OpenSeat

_LOOK_S = 0.3
#: at a time
_READ_BYTES = 1 << 20


async def follow_trace(
    trace: Path, *, after: int, seat: OpenSeat
) -> AsyncGenerator[ServerEvent | None, None]:
    """Lines after this one, until the session is over; None whenever there is nothing new.

    Counted from 1, which is each one's id.
    """
    number, begun, position = 0, b"", 0
    was_over = False
    while True:
        is_over = seat.is_closed
        chunk = await asyncio.to_thread(_read, trace, position)
        position += len(chunk)
        *lines, begun = (begun + chunk).split(b"\n")
        for line in lines:
            number += 1
            if number > after:
                yield ServerEvent(id=number, data=line.decode(errors="replace"))
        if chunk:
            continue
        if was_over:
            return
        was_over = is_over  # its last line may be a moment late
        yield None
        await asyncio.sleep(_LOOK_S)


def _read(trace: Path, position: int) -> bytes:
    """Nothing while it does not exist yet."""
    try:
        with trace.open("rb") as stream:
            stream.seek(position)
            return stream.read(_READ_BYTES)
    except FileNotFoundError:
        return b""
