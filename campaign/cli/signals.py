"""Ctrl-C: once stops the campaign cleanly, twice ends the process at once."""

from __future__ import annotations

import asyncio
import signal

from campaign.cli.common import tell
from campaign.shell import Shell

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_stopping: set[asyncio.Task[None]] = set()


def stop_on_signals(shell: Shell) -> None:
    """From now on a signal becomes an event; a second one is the interpreter's own again."""
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        tell("stopping: the load is taken off first (once more ends at once)")
        task = loop.create_task(shell.request_stop(name), name="stop")
        _stopping.add(task)
        task.add_done_callback(_stopping.discard)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, signal.Signals(number).name)
