"""Runs beside the agent in its sandbox, which has no network: two ports that lead outside.

Started as ``python3 -I relay.py CONFIG`` by whatever Python from 3.9 on the sandbox has; standard
library only. CONFIG is a JSON file: ``ports`` (port -> Unix socket), ``held`` (port -> descriptor
of a socket that has it already), ``home``, ``files`` (a folder that is copied there), ``stdin`` (a
file), ``environment`` and ``command``. Ends as the agent ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

_CHUNK = 65536
_NOT_STARTED = 127  # as a shell answers


async def main(config: dict[str, Any]) -> int:
    for port, target in config["ports"].items():
        if port in config["held"]:
            holder = socket.socket(fileno=config["held"][port])
            await asyncio.start_server(_carrier(target), sock=holder)
        else:
            await asyncio.start_server(_carrier(target), "127.0.0.1", int(port))
    shutil.copytree(config["files"], config["home"], dirs_exist_ok=True)
    # opened at once: it is a small file, and nobody waits meanwhile
    with Path(config["stdin"]).open("rb") as stdin:  # noqa: ASYNC230
        agent = await asyncio.create_subprocess_exec(
            *config["command"], stdin=stdin, cwd=config["home"], env=config["environment"]
        )
    return await agent.wait()


def _carrier(
    target: str,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        up_writer.close()
        writer.close()

    return carry


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then pass the end on. A broken connection is an end as well."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


def _run(config: Path) -> int:
    try:
        code = asyncio.run(main(json.loads(config.read_text(encoding="utf-8"))))
    except OSError as error:
        sys.stderr.write(f"the agent cannot be started: {error}\n")
        sys.stderr.flush()
        return _NOT_STARTED
    # A signal that ended the agent is told as a shell tells it.
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # Whatever still waits for a connection is not waited for.
    os._exit(_run(Path(sys.argv[1])))
