"""`ratchet serve`: the daemon alone, with its HTTP API on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from campaign.addresses import announced, daemon_file
from campaign.api_client import find_daemon
from campaign.cli.common import RunsOption, tell
from campaign.cli.flat import flat
from campaign.cli.operator_options import ApiKeyFileOption, UnsandboxedOption
from campaign.cli.webhook_options import WebhookArguments, webhook_of
from campaign.errors import BusyError
from campaign.host import Host
from campaign.listening import DAEMON_PORT
from campaign.rig import RigOptions
from campaign.webhook import require_usable

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def register(app: typer.Typer) -> None:
    app.command("serve", epilog="Example: ratchet serve --port 8390")(flat(serve))


def serve(
    runs: RunsOption,
    webhook: WebhookArguments,
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")
    ] = DAEMON_PORT,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Run apps as plain processes.")
    ] = False,
    api_key_file: ApiKeyFileOption = None,
    allow_unsandboxed_operator: UnsandboxedOption = False,
) -> None:
    """Play what other commands, or HTTP calls, ask for (see /openapi.json), one at a time."""
    options = RigOptions(
        sandbox=not no_sandbox,
        api_key_file=api_key_file,
        allow_unsandboxed_operator=allow_unsandboxed_operator,
        webhook=webhook.asked or webhook_of(os.environ),
    )
    require_usable(options.webhook)
    asyncio.run(_serve(runs, port, options))


async def _serve(runs: Path, port: int, options: RigOptions) -> None:
    if (other := await find_daemon(runs)) is not None:
        raise BusyError(
            f"a daemon serves {runs} already: pid {other.address.pid} at {other.address.url}",
            hint="use that one, end it, or choose another folder with --runs",
        )
    async with Host(runs, port=port, options=options) as host:
        ending = on_signal()
        with announced(daemon_file(runs), host.address):
            tell(f"ratchet serves {host.address.url}", f"token: {host.token}")
            await ending.wait()


def on_signal() -> asyncio.Event:
    """Set by the first; the next is the interpreter's own again, and ends us at once."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()

    def come() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        came.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, come)
    return came
