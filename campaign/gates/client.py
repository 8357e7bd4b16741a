"""A client of the app that looks like any other: the load generator's requests, byte for byte.

An app that treats requests of the gates better than others has nothing to tell them by: the same
headers in the same order, kept connections on the same socket. Whatever comes back, or does not,
ends in time: an app may hang, hang up, send garbage or never stop sending.
"""

from __future__ import annotations

import asyncio
import json as json_text
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from campaign.gates.answer import Answer
from campaign.gates.finding import AppFailedError
from loadgen.sse import Event, EventParser

DEFAULT_TIMEOUT_S = 5.0
MAX_BODY_BYTES = 32 * 1024**2

_USER_HEADER = "X-User-Id"
_OURS_TO_SET = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
#: whatever a hostile server can make aiohttp raise
_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, zlib.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAnswer:
    """An answer of server-sent events, as far as the client listened."""

    answer: Answer
    events: tuple[Event, ...]


@asynccontextmanager
async def connected(socket: Path) -> AsyncIterator[AppClient]:
    """A client of what listens at this Unix socket."""
    async with aiohttp.ClientSession(
        "http://app",
        connector=aiohttp.UnixConnector(str(socket), limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_OURS_TO_SET,
    ) as session:
        yield AppClient(session)


class AppClient:
    """Requests over kept connections; see `connected`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        #: how long the app was waited for, seconds; of requests at the same time the sum
        self.waited_s = 0.0

    def another(self) -> AppClient:
        """A client that uses the same connections, and has not waited yet."""
        return AppClient(self._session)

    async def request(
        self,
        method: str,
        path: str,
        *,
        user: int | None = None,
        json: object = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Answer:
        """One request and its whole answer, of any status. `path` is already quoted.

        Raises:
            AppFailedError: no answer in time, or none that is HTTP.
        """
        asked = f"{method} {path}"
        async with self._sent(asked, user=user, json=json, timeout_s=timeout_s) as response:
            body = b"".join([chunk async for chunk in _chunks(response, asked)])
            return _answer(asked, response, body)

    async def stream(
        self,
        path: str,
        *,
        user: int,
        json: object,
        leave_after: int | None = None,
        timeout_s: float = 2 * DEFAULT_TIMEOUT_S,
    ) -> StreamAnswer:
        """The events that answer a POST; the client hangs up after `leave_after` of them.

        Raises:
            AppFailedError: the stream does not end in time, or is none.
        """
        asked = f"POST {path}"
        parser, events = EventParser(), list[Event]()
        async with self._sent(asked, user=user, json=json, timeout_s=timeout_s) as response:
            body = b""
            async for chunk in _chunks(response, asked):
                events += parser.feed(chunk)
                body = body or chunk
                if leave_after is not None and len(events) >= leave_after:
                    response.close()
                    break
            return StreamAnswer(answer=_answer(asked, response, body), events=tuple(events))

    @asynccontextmanager
    async def _sent(
        self, asked: str, *, user: int | None, json: object, timeout_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        method, _, path = asked.partition(" ")
        began_s = time.monotonic()
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method, URL(path, encoded=True), allow_redirects=False, **_content(user, json)
                ) as response,
            ):
                yield response
        except TimeoutError as error:
            raise AppFailedError(
                f"{asked}: no complete answer within {timeout_s:g} s",
                expected=f"an answer within {timeout_s:g} s",
                actual="none",
            ) from error
        except _FAILURES as error:
            raise AppFailedError(
                f"{asked}: no answer: {error!r}", expected="an answer", actual=repr(error)
            ) from error
        finally:
            self.waited_s += time.monotonic() - began_s


def _content(user: int | None, json: object) -> dict[str, Any]:
    """Headers and body as the load generator sends them (`loadgen.calls`), in its order."""
    headers: dict[str, str] = {} if user is None else {_USER_HEADER: str(user)}
    if json is None:
        return {"headers": headers}
    headers["Content-Type"] = "application/json"
    return {"headers": headers, "data": json_text.dumps(json).encode()}


async def _chunks(response: aiohttp.ClientResponse, asked: str) -> AsyncIterator[bytes]:
    size_bytes = 0
    async for chunk in response.content.iter_any():
        size_bytes += len(chunk)
        if size_bytes > MAX_BODY_BYTES:
            response.close()
            raise AppFailedError(
                f"{asked}: the answer does not end",
                expected=f"at most {MAX_BODY_BYTES} bytes",
                actual=f"{size_bytes} bytes and more",
            )
        yield chunk


def _answer(asked: str, response: aiohttp.ClientResponse, body: bytes) -> Answer:
    headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
    return Answer(asked=asked, status=response.status, headers=headers, body=body)
