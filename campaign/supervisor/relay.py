"""Carries bytes between a client's connection and the app's public socket.

Used for TCP (people, Prometheus), which must never enter the sandbox, and for clients that still
wait at a listener whose process is leaving.
"""

import asyncio
import contextlib
import socket
from pathlib import Path

import structlog

_CHUNK = 65536

log = structlog.get_logger()


class Relay:
    """Connects clients to ``target``, at most ``limit`` at a time; more are turned away."""

    def __init__(self, target: Path, *, limit: int) -> None:
        self._target = target
        self._limit = limit
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def serve_tcp(self, host: str, port: int) -> None:
        """Accept TCP connections until `close`.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._accepted, host, port)

    def carry(self, client: socket.socket) -> None:
        """Take over an accepted connection."""
        self._keep(asyncio.create_task(self._adopt(client), name="relay-adopted"))

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self._limit:
            log.warning("relay is full", action="relay_refused", limit=self._limit)
            writer.transport.abort()
            return
        self._keep(asyncio.create_task(self._connect(reader, writer), name="relay-tcp"))

    async def _adopt(self, client: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=client)
        await self._connect(reader, writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, up_writer))
                both.create_task(_pump(up_reader, writer))
        finally:
            writer.close()
            up_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then pass the end on. A broken connection is an end as well."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def accept_into(relay: Relay, listener: socket.socket) -> None:
    """Accept what waits at ``listener`` and relay it, until cancelled.

    The process that was given the listener may accept at the same time: each connection goes to
    one of the two, and both are answered.
    """
    loop = asyncio.get_running_loop()
    while True:
        client, _ = await loop.sock_accept(listener)
        relay.carry(client)
