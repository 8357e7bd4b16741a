"""Lets the unmodified app create its own schema in an empty database, as at any start."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from campaign.identity import app_identity, launcher
from campaign.ports import PortError
from campaign.sandbox import SYSTEM_PATH

_PATIENCE_S = 30.0
_POLL_S = 0.05
#: it has nothing to drain
_GOODBYE_S = 5.0
_KEPT_CHARS = 2000
_OK = 200


async def create_schema(
    source: Path, *, environment: Path, command: Sequence[str], health_path: str, dsn: str
) -> None:
    """Start the app in `source` with the Python in `environment`, wait for health, end it.

    Raises:
        PortError: it did not come up; its last output is in the reason.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        # Started as root it is another user's, as ever; and it dies with us.
        *launcher(app_identity()),
        *command,
        cwd=source,
        env={
            "PATH": f"{environment / 'bin'}:{SYSTEM_PATH}",
            "DATABASE_URL": dsn,
            "LISTEN_FD": str(listener.fileno()),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        pass_fds=(listener.fileno(),),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    listener.close()
    talking = asyncio.create_task(process.communicate(), name="app output")
    try:
        problem = await _until_healthy(talking, f"http://127.0.0.1:{port}{health_path}")
    finally:
        output = await _end(process, talking)
    if problem:
        raise PortError("app", f"the unmodified app {problem}:\n{output[-_KEPT_CHARS:]}")


async def _until_healthy(talking: asyncio.Task[Any], url: str) -> str:
    """What went wrong; empty when it is healthy."""
    try:
        async with asyncio.timeout(_PATIENCE_S), aiohttp.ClientSession() as session:
            while not talking.done():
                if await _is_healthy(session, url):
                    return ""
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        return f"did not answer {url} within {_PATIENCE_S:.0f} s"
    return "ended by itself"


async def _is_healthy(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == _OK
    except aiohttp.ClientError:
        return False


async def _end(
    process: asyncio.subprocess.Process, talking: asyncio.Task[tuple[bytes, bytes]]
) -> str:
    """Whatever it takes; gives what it wrote."""
    if process.returncode is None:
        process.terminate()
    done, _ = await asyncio.wait({talking}, timeout=_GOODBYE_S)
    if not done:
        process.kill()
    output, _ = await talking
    return output.decode(errors="replace")
