"""`ratchet serve`: the daemon alone, with its HTTP API on loopback."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.common import RunsOption, tell
from campaign.host import Host
from campaign.logs import log_to_terminal

DEFAULT_PORT = 8390


def register(app: typer.Typer) -> None:
    app.command("serve", epilog="Example: ratchet serve --port 8390")(serve)


def serve(
    runs: RunsOption,
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 takes a free one.")] = DEFAULT_PORT,
    *,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Run apps as plain processes.")
    ] = False,
) -> None:
    """Wait for campaigns to be started over HTTP; see /openapi.json."""
    log_to_terminal()
    asyncio.run(_serve(runs, port, sandbox=not no_sandbox))


async def _serve(runs: Path, port: int, *, sandbox: bool) -> None:
    async with Host(runs, port=port, sandbox=sandbox) as host:
        tell(f"ratchet serves {host.url}", f"token: {host.token}")
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        await ended.wait()
