"""``python -m campaign.supervisor.edge``: TCP to the app's Unix socket, in a container of its own.

The app's container has no network, and a network that the app shared with its clients would be a
way out. Whoever speaks TCP (Prometheus, people, load workers on other hosts) comes by here.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from campaign.supervisor.relay import Relay

_CONNECTIONS = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m campaign.supervisor.edge", description="Relay TCP to a Unix socket."
    )
    parser.add_argument("--socket", type=Path, required=True, help="the app's public socket")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - its own network only
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--status-port", type=int, help="where GET /status says since when it runs")
    parser.add_argument("--limit", type=int, default=_CONNECTIONS, help="connections at a time")
    chosen = parser.parse_args(arguments)
    relay = Relay(chosen.socket, limit=chosen.limit)
    asyncio.run(_serve(relay, host=chosen.host, port=chosen.port, status_port=chosen.status_port))
    return 0


async def _serve(relay: Relay, *, host: str, port: int, status_port: int | None) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await relay.serve_tcp(host, port)
        async with _status(host, status_port):
            await ended.wait()
    finally:
        await relay.close()


@asynccontextmanager
async def _status(host: str, port: int | None) -> AsyncIterator[None]:
    """Apart from the app's port, on which every byte is the app's."""
    if port is None:
        yield
        return
    started_at = time.time()

    async def tell(_: web.Request) -> web.Response:
        return web.json_response({"started_at": started_at})

    app = web.Application()
    app.router.add_get("/status", tell)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
