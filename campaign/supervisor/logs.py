"""The app's output: kept in a bounded file and in memory, whatever the app writes.

What exceeds a budget of bytes per second is read and thrown away, and a line says how much it was.
Even that is paced, so that a flood costs the supervisor little time: a process that writes more
than about 100 MB/s waits for its pipe.
"""

import asyncio
import fcntl
import os
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

#: Lines kept in memory for the whole app, and for one process.
RING_LINES = 2000
PROCESS_LINES = 200

#: A longer line is cut into pieces of this size (bytes).
LONGEST_LINE = 8192

_CHUNK = 65536

#: While dropping: read this much, then leave the pipe alone for a moment (seconds).
_DROP_CHUNK = 1 << 20
_DROP_PAUSE_S = 0.01

#: Of what was dropped the end is kept (bytes): a dying process says why in its last words.
_LAST_WORDS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBudget:
    """A token bucket of bytes. Pure: time is an argument (seconds of any steady clock)."""

    rate_bytes_s: float = 1 << 20
    burst_bytes: float = 4 << 20
    tokens: float = 4 << 20
    at: float = 0.0

    def spend(self, size_bytes: int, *, at: float) -> "tuple[LogBudget, bool]":
        """Return the budget after ``size_bytes`` came at time ``at``, and whether they fit."""
        refill = max(0.0, at - self.at) * self.rate_bytes_s
        tokens = min(self.burst_bytes, self.tokens + refill)
        fits = size_bytes <= tokens
        return replace(self, tokens=tokens - size_bytes if fits else tokens, at=at), fits


class AppLog:
    """The last lines of the app, and a file of them that never grows past twice its bound."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._ring: deque[str] = deque(maxlen=RING_LINES)
        self._file: IO[bytes] = path.open("ab")

    def write(self, lines: list[bytes]) -> None:
        self._ring.extend(decoded(lines, RING_LINES))
        self._file.write(b"".join(line + b"\n" for line in lines))
        self._file.flush()
        if self._file.tell() > self._limit_bytes:
            self._rotate()

    def tail(self, count: int) -> tuple[str, ...]:
        return tuple(self._ring)[-count:] if count > 0 else ()

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._file = self._path.open("ab")


class ProcessLog:
    """Reads one process's output from a pipe until every writer has closed it."""

    def __init__(self, pipe: int, sink: AppLog) -> None:
        self._pipe = pipe
        self._sink = sink
        self._ring: deque[str] = deque(maxlen=PROCESS_LINES)
        self._partial = b""
        self._dropped_bytes = 0
        self._last_words = b""
        self._loop = asyncio.get_running_loop()
        self._budget = LogBudget(at=self._loop.time())
        self._ended = asyncio.Event()
        os.set_blocking(pipe, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _DROP_CHUNK)
        self._watch()

    def tail(self) -> tuple[str, ...]:
        """Return the last lines of this process."""
        return tuple(self._ring)

    async def drain(self, *, timeout_s: float) -> None:
        """Wait for the end of the output, then stop reading whether it came or not."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        except TimeoutError:
            self._end()

    def _watch(self) -> None:
        if not self._ended.is_set():
            self._loop.add_reader(self._pipe, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self._pipe, self._appetite())
        except BlockingIOError:
            return
        if not chunk:
            self._end()
            return
        self._budget, fits = self._budget.spend(len(chunk), at=self._loop.time())
        if fits:
            self._keep(chunk)
        else:
            self._drop(chunk)

    def _appetite(self) -> int:
        """Return how much to read: what the budget lets us keep, or a lot to throw away."""
        _, fits = self._budget.spend(_CHUNK, at=self._loop.time())
        return _CHUNK if fits else _DROP_CHUNK

    def _keep(self, chunk: bytes) -> None:
        split = split_lines(self._leftover() + chunk)
        self._partial = split.rest
        self._emit(split.lines)

    def _drop(self, chunk: bytes) -> None:
        self._dropped_bytes += len(chunk)
        self._last_words = (self._last_words + chunk)[-_LAST_WORDS:]
        self._loop.remove_reader(self._pipe)
        self._loop.call_later(_DROP_PAUSE_S, self._watch)

    def _leftover(self) -> bytes:
        """Return what comes before the next chunk, and what there is to say about a gap."""
        before, self._partial = self._partial, b""
        if self._dropped_bytes:
            notice = b"\n[supervisor] %d bytes of log dropped: too fast\n" % self._dropped_bytes
            before += notice + self._last_words
            self._dropped_bytes, self._last_words = 0, b""
        return before

    def _emit(self, lines: list[bytes]) -> None:
        if lines:
            self._ring.extend(decoded(lines, PROCESS_LINES))
            self._sink.write(lines)

    def _end(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        split = split_lines(self._leftover())
        self._emit([*split.lines, *([split.rest] if split.rest else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Whole lines, without their line ends, and what may still grow."""

    lines: list[bytes]
    rest: bytes


def decoded(lines: list[bytes], count: int) -> list[str]:
    """Return the last ``count`` lines as text."""
    return [line.decode(errors="replace") for line in lines[-count:]]


def split_lines(data: bytes) -> Split:
    """Split at line ends; cut what is longer than `LONGEST_LINE`."""
    *whole, rest = data.split(b"\n")
    lines = [piece for line in whole for piece in _pieces(line.removesuffix(b"\r"))]
    if len(rest) >= LONGEST_LINE:
        return Split(lines=lines + _pieces(rest), rest=b"")
    return Split(lines=lines, rest=rest)


def _pieces(line: bytes) -> list[bytes]:
    if len(line) <= LONGEST_LINE:
        return [line]
    return [line[start : start + LONGEST_LINE] for start in range(0, len(line), LONGEST_LINE)]
