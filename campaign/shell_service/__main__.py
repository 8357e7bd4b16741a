"""``python -m campaign.shell_service``: in a container of its own, as root with few rights."""

from __future__ import annotations

import argparse
import asyncio
import pwd
import signal
import sys
from pathlib import Path

import structlog
from aiohttp import web

from campaign.adapters.instruments.lodger import Lodger
from campaign.identity import Identity
from campaign.seccomp import filter_ourselves
from campaign.shell_service.service import Quarters, ShellService
from campaign.supervisor.api import control_socket

log = structlog.get_logger(__name__)

#: for our group, which is the campaign's; the operator's users cannot enter the folder
_SOCKET_MODE = 0o660


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m campaign.shell_service",
        description="Run the operator's shells in this container.",
    )
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--user", required=True, help="whose shells may change the workspace")
    parser.add_argument("--looker", required=True, help="whose shells may not")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if not filter_ourselves():
        log.warning("system calls are not filtered on this machine", action="no_filter")
    quarters = Quarters(
        workspace=options.workspace,
        environments=options.environments,
        worker=Lodger(_identity(options.user)),
        looker=Lodger(_identity(options.looker)),
    )
    try:
        asyncio.run(_serve(ShellService(quarters), options.socket))
    finally:
        options.socket.unlink(missing_ok=True)
    return 0


async def _serve(service: ShellService, socket: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await service.clear()
    # A client that leaves ends what it asked for.
    runner = web.AppRunner(
        service.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        await web.SockSite(runner, control_socket(socket, mode=_SOCKET_MODE)).start()
        log.info("the shell's service is ready", action="ready")
        await stop.wait()
    finally:
        await runner.cleanup()
        await service.clear()


def _identity(user: str) -> Identity:
    entry = pwd.getpwnam(user)
    return Identity(user=user, uid=entry.pw_uid, gid=entry.pw_gid)


if __name__ == "__main__":
    sys.exit(main())
