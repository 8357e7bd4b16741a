"""A way to the database that ends when too many bytes have come through it.

One row can be a gigabyte, and a client would hold it whole before it could refuse it. So the
client connects to a socket of ours, and what comes from the server is counted on the way.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_CHUNK_BYTES = 64 << 10


@dataclass(kw_only=True)
class Relay:
    """`folder` holds the socket, under the name that it has at the server's."""

    folder: Path
    limit_bytes: int
    passed_bytes: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """More would have come than may."""
        return self.passed_bytes > self.limit_bytes


@asynccontextmanager
async def relay(socket: Path, *, limit_bytes: int) -> AsyncIterator[Relay]:
    """All its connections end with it."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-sql-"))
    between = Relay(folder=folder, limit_bytes=limit_bytes)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio makes one a connection
        between.tasks.add(task)
        task.add_done_callback(between.tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await _pass_on(reader, writer, socket, between)
        writer.close()

    try:
        server = await asyncio.start_unix_server(connected, folder / socket.name)
        try:
            yield between
        finally:
            server.close()
            for task in tuple(between.tasks):
                task.cancel()
            await asyncio.gather(*between.tasks, return_exceptions=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, socket: Path, between: Relay
) -> None:
    from_server, to_server = await asyncio.open_unix_connection(socket)
    sending = asyncio.create_task(_copy(reader, to_server))
    try:
        while chunk := await from_server.read(_CHUNK_BYTES):
            between.passed_bytes += len(chunk)
            if between.is_over:
                break
            writer.write(chunk)
            await writer.drain()
    finally:
        sending.cancel()
        to_server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.close()
