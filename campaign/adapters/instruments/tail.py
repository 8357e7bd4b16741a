"""The lines of a file and of the rotated one before it, newest first, no further than a bound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 256 << 10
#: a longer line is cut
LONGEST_LINE_BYTES = 16 << 10


def newest_lines(files: tuple[Path, ...], *, max_bytes: int) -> Iterator[bytes]:
    """Of each file in turn, which is newer than the next; one that is not there has none.

    A line that was not begun within the bound is left out, one that is not ended is a line.
    """
    left = max_bytes
    for file in files:
        try:
            opened = file.open("rb")
        except FileNotFoundError:
            continue
        with opened:
            place = opened.seek(0, 2)
            rest = b""
            while place > 0 and left > 0:
                size = min(_BLOCK_BYTES, place, left)
                place -= size
                left -= size
                opened.seek(place)
                first, *lines = (opened.read(size) + rest).split(b"\n")
                yield from (line[:LONGEST_LINE_BYTES] for line in reversed(lines) if line)
                # Of a line that goes on and on no more than its beginning is of use.
                rest = first[: LONGEST_LINE_BYTES + 1] if len(lines) == 0 else first
            if place == 0 and rest:
                yield rest[:LONGEST_LINE_BYTES]
