"""`--hold`: the stack stays up under the last trial's load, and says how to reach every part."""

from __future__ import annotations

import asyncio
import signal

from campaign.cli.common import tell
from campaign.machine import Campaign
from campaign.rig import Rig
from reports.view import failure


async def hold(rig: Rig, campaign: Campaign) -> None:
    """Print the ways in, and wait for Ctrl-C; not after one, and not after a failure."""
    stack = rig.stack
    if stack is None or campaign.stopped or failure(campaign):
        return
    await rig.lines.load.apply(campaign.full_load, load_id="hold")
    where = stack.addresses
    tell(
        "the stack is held, under the last trial's full load; Ctrl-C ends it",
        f"  app         {where.app_url}   (curl --unix-socket {where.app_socket} http://app/healthz)",
        f"  database    psql '{where.database.app_dsn}'",
        f"  metrics     {where.prometheus_url}",
        f"  load        {where.loadgen_url}",
        f"  workspace   {rig.workspace.path}",
        f"  logs        {where.logs_dir}",
    )
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    await interrupted.wait()
