"""Lets the unmodified app create its own schema in an empty database, as at any start."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from campaign.ports import PortError

_PATIENCE_S = 30.0
_POLL_S = 0.05


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
        *command,
        cwd=source,
        env={
            "PATH": f"{environment / 'bin'}:/usr/bin:/bin",
            "DATABASE_URL": dsn,
            "LISTEN_FD": str(listener.fileno()),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        pass_fds=(listener.fileno(),),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    listener.close()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await _until_healthy(process, f"http://127.0.0.1:{port}{health_path}")
    except (TimeoutError, PortError) as error:
        raise PortError("app", f"the unmodified app does not start: {error}") from error
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _until_healthy(process: asyncio.subprocess.Process, url: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            if process.returncode is not None:
                output, _ = await process.communicate()
                raise PortError("app", output.decode(errors="replace")[-2000:])
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:  # noqa: PLR2004 - HTTP's OK
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(_POLL_S)
