"""Whether something answers over HTTP yet."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from pathlib import Path

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=2)


async def answers(url: str, *, token: str | None = None, unix_socket: Path | None = None) -> bool:
    """Whether a GET of `url` is answered with 200; False, never an error, while it is not.

    `token` is sent as a bearer token; with `unix_socket`, the host in `url` is only a name.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.UnixConnector(path=str(unix_socket)) if unix_socket else None
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=REQUEST_TIMEOUT) as session,
            session.get(url, headers=headers) as reply,
        ):
            return reply.status == HTTPStatus.OK
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False
