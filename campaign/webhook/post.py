"""One attempt to deliver a notice, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Self

import aiohttp

from campaign.model import Webhook
from campaign.webhook.notice import Notice
from campaign.webhook.patience import Answer, Failure, judge
from campaign.webhook.signing import headers

#: for the whole of an attempt; the standard wants 15 to 30
TIMEOUT_S = 15.0
_AGENT = "ratchet-webhook/1"


class Poster:
    """Implements `courier.Post`; used within `async with`.

    The answer's body is never read, redirects are not followed, cookies are not kept.
    """

    def __init__(
        self, webhook: Webhook, keys: Sequence[bytes], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url = webhook.url
        self._keys = keys
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=1, force_close=True),
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._session.close()

    async def __call__(self, notice: Notice) -> Answer:
        """Whether it was acknowledged; raises nothing that a receiver can bring about."""
        now = time.time()
        signed = headers(self._keys, notice=notice.id, timestamp=int(now), body=notice.body)
        sent = {**signed, "content-type": "application/json", "user-agent": _AGENT}
        try:
            async with self._session.post(
                self._url, data=notice.body, headers=sent, allow_redirects=False
            ) as answer:
                wished = answer.headers.get("retry-after")
                return judge(answer.status, retry_after=wished, at=now)
        except TimeoutError:
            return Answer(
                failure=Failure.TIMEOUT, words=f"no answer within {self._timeout_s:g} seconds"
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(failure=Failure.CONNECTION, words=_why(error))


def _why(error: Exception) -> str:
    """Without the address, which errors quote: its path may be a secret."""
    if isinstance(error, OSError) and error.strerror:
        return f"no connection ({type(error).__name__}: {error.strerror})"
    return f"no connection ({type(error).__name__})"
