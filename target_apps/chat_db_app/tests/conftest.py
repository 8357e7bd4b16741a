"""A service on a Unix socket, with empty tables of its own in the database of DATABASE_URL."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import asyncpg
import pytest
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))

import main
from settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def database_url() -> AsyncIterator[str]:
    """The database in DATABASE_URL, with an empty schema of the test's own before all others."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        pytest.skip("DATABASE_URL is not set")
    schema = f"test_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(url)
    await admin.execute(f"CREATE SCHEMA {schema}")
    try:
        yield f"{url}{'&' if '?' in url else '?'}search_path={schema},public"
    finally:
        await admin.execute(f"DROP SCHEMA {schema} CASCADE")
        await admin.close()


@pytest.fixture
async def app(database_url: str) -> web.Application:
    return main.build_app(Settings(database_url=database_url, token_delay_s=0.005))


@pytest.fixture
async def client(app: web.Application, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a service that runs as it does in production, on a Unix socket."""
    socket_path = str(tmp_path / "app.sock")
    runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=1)
    await runner.setup()
    await web.UnixSite(runner, socket_path).start()
    connector = aiohttp.UnixConnector(socket_path)
    async with aiohttp.ClientSession("http://chat", connector=connector) as session:
        yield session
    await runner.cleanup()


@pytest.fixture
async def db(client: aiohttp.ClientSession, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The service's database, seen directly."""
    conn = await asyncpg.connect(database_url)
    yield conn
    await conn.close()


class Person:
    """A signed-up user with one conversation, and requests in their name."""

    def __init__(self, client: aiohttp.ClientSession, user_id: int) -> None:
        self._client = client
        self.user_id = user_id
        self.conversation_id = 0

    @classmethod
    async def sign_up(
        cls, client: aiohttp.ClientSession, name: str, segment: str = "free"
    ) -> Person:
        answer = await client.post("/api/users", json={"name": name, "segment": segment})
        person = cls(client, (await answer.json())["id"])
        created = await person.post("/api/conversations", {"title": f"{name}'s first"})
        person.conversation_id = created["id"]
        return person

    async def get(self, path: str, status: int = 200) -> dict:
        answer = await self._client.get(path, headers=self.headers)
        assert answer.status == status, await answer.text()
        return await answer.json()

    async def post(self, path: str, body: dict, status: int | None = None) -> dict:
        answer = await self._client.post(path, json=body, headers=self.headers)
        assert answer.status == (status or answer.status), await answer.text()
        return await answer.json()

    async def write(self, content: str) -> dict:
        return await self.post(self.path("messages"), {"content": content}, 201)

    def path(self, part: str) -> str:
        return f"/api/conversations/{self.conversation_id}/{part}"

    @property
    def headers(self) -> dict[str, str]:
        return {"X-User-Id": str(self.user_id)}


@pytest.fixture
async def ada(client: aiohttp.ClientSession) -> Person:
    return await Person.sign_up(client, "Ada", "pro")


@pytest.fixture
async def bob(client: aiohttp.ClientSession) -> Person:
    return await Person.sign_up(client, "Bob")
