"""Asks the app, over its Unix socket, whether it can serve."""

import asyncio
from pathlib import Path

import aiohttp


async def probe(path: Path, *, timeout_s: float) -> str | None:
    """Return None when ``GET /healthz`` is answered with 200 in time, else what was wrong."""
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.UnixConnector(path=str(path), force_close=True) as connector,
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://app/healthz", allow_redirects=False) as response,
        ):
            return None if response.status == 200 else f"answered {response.status}"  # noqa: PLR2004 - OK
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
