"""HTTP to the app over its own Unix socket: what a client would see, and nothing but the app."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from operators import ToolError
from operators.toolbox.instruments import AppAnswer, AppRequest
from yarl import URL

#: of an answer's body so much is shown
SHOWN_BYTES = 64 << 10
#: and so much read, to say how long it was
_READ_BYTES = 32 << 20
_LARGEST_REQUEST_BYTES = 1 << 20
_LONGEST_PATH = 8192

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: only what is printable and in ASCII: all else has to be percent-encoded
_PATH = re.compile(r"/[!-\"$-~]*")
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
#: these say how the request is carried, which is not the caller's to say
_OURS = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)


@dataclass(kw_only=True)
class _Body:
    """What has come so far."""

    shown: bytearray = field(default_factory=bytearray)
    size_bytes: int = 0
    #: why reading stopped before the end
    stopped: str = ""

    def add(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        room = SHOWN_BYTES - len(self.shown)
        if room > 0:
            self.shown += chunk[:room]

    def text(self) -> str:
        text = self.shown.decode(errors="replace")
        notes = []
        if self.size_bytes > len(self.shown):
            notes.append(f"cut after {len(self.shown)} of {self.size_bytes} bytes")
        if self.stopped:
            notes.append(self.stopped)
        return f"{text}\n[{'; '.join(notes)}]" if notes else text


class AppOverSocket:
    """Implements `operators.toolbox.instruments.App`: one connection a request."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def request(self, request: AppRequest) -> AppAnswer:
        """Redirects are answers like any other. A stream is read until it ends or the time does.

        Raises:
            ToolError: the request is not one, or no answer came.
        """
        url = _url(request)
        began = time.monotonic()
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", **_headers(request)}
        # One that ends while headers come is an error, one that ends while a body does is not.
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(self._socket), force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=timeout,
        ) as session:
            try:
                async with asyncio.timeout(request.timeout_s) as patience:
                    answer = await session.request(
                        request.method.upper(),
                        url,
                        headers=headers,
                        data=request.body.encode() or None,
                        allow_redirects=False,
                    )
                    deadline = patience.when()
            except TimeoutError as error:
                raise ToolError(
                    f"the app gave no answer in {request.timeout_s:g} s (it may still be at it)"
                ) from error
            except aiohttp.ClientConnectorError as error:
                raise ToolError(
                    "the app takes no connections: it is not running, or has not come up yet"
                ) from error
            except (aiohttp.ClientError, ValueError) as error:
                raise ToolError(f"the app gave no proper answer: {_words(error)}") from error
            body = await _read(answer, deadline)
            return AppAnswer(
                status=answer.status,
                headers={name: value for name, value in answer.headers.items()},  # noqa: C416
                body=body.text(),
                size_bytes=body.size_bytes,
                duration_s=time.monotonic() - began,
            )


async def _read(answer: aiohttp.ClientResponse, deadline: float | None) -> _Body:
    body = _Body()
    try:
        async with asyncio.timeout_at(deadline):
            async for chunk in answer.content.iter_any():
                body.add(chunk)
                if body.size_bytes > _READ_BYTES:
                    body.stopped = "it was longer still: not read to its end"
                    break
    except TimeoutError:
        body.stopped = "it had not ended when the time was over"
    except aiohttp.ClientError as error:
        body.stopped = f"it broke off: {_words(error)}"
    answer.close()
    return body


def _url(request: AppRequest) -> URL:
    if not _TOKEN.fullmatch(request.method) or request.method.upper() == "CONNECT":
        raise ToolError(f"{request.method[:40]!r} is no method to use here, such as GET or POST")
    if not _PATH.fullmatch(request.path) or len(request.path) > _LONGEST_PATH:
        raise ToolError(
            f"{request.path[:200]!r} is not a path with its query, such as "
            "/conversations?limit=5: it begins with /, and what is not plain is percent-encoded"
        )
    if request.path.startswith("//"):
        raise ToolError("a path begins with one / only: no other host can be reached")
    if len(request.body.encode(errors="surrogateescape")) > _LARGEST_REQUEST_BYTES:
        raise ToolError(f"a body of more than {_LARGEST_REQUEST_BYTES} bytes")
    return URL(f"http://app{request.path}", encoded=True)


def _headers(request: AppRequest) -> dict[str, str]:
    for name, value in request.headers.items():
        if not _TOKEN.fullmatch(name):
            raise ToolError(f"{name[:80]!r} cannot be a header's name")
        if name.lower() in _OURS:
            raise ToolError(f"the header {name} cannot be chosen: leave it out")
        if not _HEADER_VALUE.fullmatch(value) or len(value) > _LONGEST_PATH:
            raise ToolError(f"the value of the header {name} has characters that none may have")
    return dict(request.headers)


def _words(error: Exception) -> str:
    """Without the place of the socket, which is nobody's business."""
    return f"{type(error).__name__}: {error}".split("/tmp/")[0][:300]  # noqa: S108 - only cut off
