"""``python -m campaign.supervisor.edge``: TCP to the app's Unix socket, in a container of its own.

The app's container has no network, and a network that the app shared with its clients would be a
way out. Whoever speaks TCP (Prometheus, people, load workers on other hosts) comes by here.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from campaign.supervisor.relay import Relay

_CONNECTIONS = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m campaign.supervisor.edge", description="Relay TCP to a Unix socket."
    )
    parser.add_argument("--socket", type=Path, required=True, help="the app's public socket")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - its own network only
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--limit", type=int, default=_CONNECTIONS, help="connections at a time")
    chosen = parser.parse_args(arguments)
    relay = Relay(chosen.socket, limit=chosen.limit)
    asyncio.run(_serve(relay, host=chosen.host, port=chosen.port))
    return 0


async def _serve(relay: Relay, *, host: str, port: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await relay.serve_tcp(host, port)
        await ended.wait()
    finally:
        await relay.close()


if __name__ == "__main__":
    sys.exit(main())
