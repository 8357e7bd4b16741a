"""Who may ask the API what: an operator may be on this machine too, and a browser is a gateway.

Whatever tells of a campaign wants the owner's token: plans, events and reports name profiles. Only
what says nothing of one is open: that the process lives, its metrics, and the API's description.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from campaign.errors import AccessError, MisdirectedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_OPEN = frozenset({"/healthz", "/metrics", "/openapi.json"})
_READING = frozenset({"GET", "HEAD"})
#: any other name that leads here is one that somebody else has made lead here
_OWN_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_COOKIE = "ratchet_pages"
_PAGES = "/api/campaigns"
_HINT = "`ratchet serve` prints it; a browser needs ?token=… once"


def guarded(token: str, *, but_for: AbstractSet[Any], names: AbstractSet[str] = frozenset()) -> Any:
    """A middleware. Handlers in `but_for` look at a secret of their own.

    `names` lead here beside those of the loopback.

    Raises, for what it refuses:
        AccessError: the token is missing or wrong.
        MisdirectedError: it was meant for another host.
    """
    pages = hmac.new(token.encode(), b"pages", hashlib.sha256).hexdigest()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        reads = request.method in _READING
        if reads and request.path in _OPEN:
            return await handler(request)
        _require_own_name(request.headers.get("Host", ""), _OWN_NAMES | names)
        if request.match_info.handler in but_for:
            return await handler(request)
        if reads and _same(request.query.get("token", ""), token):
            raise _to_the_page(request, pages)
        is_right = _same(request.headers.get("Authorization", ""), f"Bearer {token}")
        if not is_right and not (reads and _same(request.cookies.get(_COOKIE, ""), pages)):
            raise AccessError("the token is missing or wrong", hint=_HINT)
        return await handler(request)

    return check


def _to_the_page(request: web.Request, pages: str) -> web.HTTPSeeOther:
    """The address without the token, and a cookie that only reads, for a browser to go on with."""
    there = web.HTTPSeeOther(request.rel_url.without_query_params("token"))
    there.set_cookie(_COOKIE, pages, path=_PAGES, httponly=True, samesite="Strict")
    return there


def _require_own_name(host: str, names: AbstractSet[str]) -> None:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in names:
        raise MisdirectedError(
            f"this is not {host[:100]!r}", hint="ask for 127.0.0.1 or localhost by that name"
        )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(
        given.encode(errors="surrogateescape"), expected.encode(errors="surrogateescape")
    )
