"""A receiver of notices on loopback, that can be made to misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from campaign.webhook.signing import parse_secrets, signature

#: in the address, where nobody may read it but the receiver
TOKEN = "Zm9v-secret-path"  # noqa: S105 - of a receiver that lives for a test
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef" * 2).decode()

Answering = Callable[[web.Request, int], Awaitable[web.StreamResponse]]


async def acknowledging(_request: web.Request, _number: int) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One attempt, as it came."""

    id: str
    timestamp: int
    signature: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_signed(self) -> bool:
        (key,) = parse_secrets(SECRET)
        expected = signature(key, notice=self.id, timestamp=self.timestamp, body=self.body)
        return self.signature == expected


@dataclass(slots=True)
class Receiver:
    """Notes what came, and answers by its script (number of the attempt, from 0)."""

    answer: Answering = acknowledging
    came: list[Delivery] = field(default_factory=list)
    #: those that were acknowledged
    taken: list[Delivery] = field(default_factory=list)
    url: str = ""
    _happened: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, met: Callable[[], bool]) -> None:
        """Looks after each attempt."""
        async with asyncio.timeout(30), self._happened:
            await self._happened.wait_for(met)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        delivery = Delivery(
            id=request.headers["webhook-id"],
            timestamp=int(request.headers["webhook-timestamp"]),
            signature=request.headers.get("webhook-signature", ""),
            body=await request.read(),
        )
        self.came.append(delivery)
        answer = await self.answer(request, len(self.came) - 1)
        if 200 <= answer.status < 300:
            self.taken.append(delivery)
        async with self._happened:
            self._happened.notify_all()
        return answer

    @property
    def ids(self) -> Sequence[str]:
        return [delivery.id for delivery in self.taken]


@asynccontextmanager
async def receiving(answer: Answering = acknowledging, *, port: int = 0) -> AsyncIterator[Receiver]:
    """Handlers are cancelled when the sender hangs up."""
    receiver = Receiver(answer)
    app = web.Application()
    app.router.add_post(f"/{TOKEN}", receiver.receive)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{TOKEN}"
        yield receiver
    finally:
        await runner.cleanup()
