"""The relay in a container of its own: what goes through it, and what it says of itself."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web


@pytest.fixture
async def app_socket(tmp_path: Path) -> AsyncIterator[Path]:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=f"the app at {request.path}")

    app = web.Application()
    app.router.add_get("/{path:.*}", tell)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "app.sock")).start()
    yield tmp_path / "app.sock"
    await runner.cleanup()


async def test_it_relays_and_says_since_when(
    app_socket: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    port, status_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    before = time.time()
    edge = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "campaign.supervisor.edge", "--host", "127.0.0.1"),
        *("--socket", str(app_socket), "--port", str(port), "--status-port", str(status_port)),
    )
    try:
        async with aiohttp.ClientSession() as session:
            told = [await _asked(session, f"http://127.0.0.1:{status_port}/status") for _ in "ab"]
            async with session.get(f"http://127.0.0.1:{port}/status") as answer:
                assert await answer.text() == "the app at /status"
        assert told[0] == told[1]
        assert before <= told[0]["started_at"] <= time.time()
    finally:
        edge.send_signal(signal.SIGTERM)
        assert await edge.wait() == 0


async def _asked(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """It takes a moment until somebody listens."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get(url) as answer:
                    return dict(await answer.json())
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)
