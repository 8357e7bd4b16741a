"""The connection pool."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logger = logging.getLogger("chat.pool")

MIN_CONNECTIONS = 1
MAX_CONNECTIONS = 1000


async def create_pool(database_url: str) -> asyncpg.Pool:
    """A pool with one connection open; it opens others when requests need them."""
    return await asyncpg.create_pool(
        database_url,
        min_size=MIN_CONNECTIONS,
        max_size=MAX_CONNECTIONS,
        # asyncpg's look-ups of types are costly to compile and quick to run.
        server_settings={"application_name": "chat-db-app", "jit": "off"},
    )


@asynccontextmanager
async def connection(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """Lends a connection for as long as the block runs."""
    async with pool.acquire() as conn:
        yield conn


async def close_pool(pool: asyncpg.Pool, patience_s: float = 3.0) -> None:
    """Closes connections as they come back, and after `patience_s` seconds all of them."""
    try:
        await asyncio.wait_for(pool.close(), patience_s)
    except TimeoutError:
        logger.warning("connections still in use at shutdown are cut off")
        pool.terminate()
