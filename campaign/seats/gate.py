"""Who may ask what of the sessions at work: each route wants a secret of its own."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from aiohttp import web

from campaign.errors import AccessError, BusyError
from campaign.http_parts import bearer
from campaign.seats.register import Register
from campaign.seats.seat import OpenSeat


class Gate:
    """`find` gives the register of the campaign that is played, or was last; None: none yet.

    `token` is the one of the process: whoever has it may start and stop campaigns.
    """

    def __init__(self, find: Callable[[], Register | None], *, token: str) -> None:
        self.find = find
        self._token = token

    @property
    def register(self) -> Register:
        """Raises BusyError when there is none."""
        if (register := self.find()) is None:
            raise BusyError("no campaign is being played here", hint="start one with `ratchet run`")
        return register

    def seat(self, request: web.Request) -> OpenSeat:
        """That the path names; raises NotFoundError."""
        return self.register.seat(request.match_info["session"])

    async def admitted(self, request: web.Request) -> OpenSeat:
        """The same for whoever has its token; raises AccessError."""
        return await self.register.admitted(request.match_info["session"], bearer(request))

    def is_owner(self, request: web.Request) -> bool:
        given, expected = (
            text.encode(errors="surrogateescape") for text in (bearer(request), self._token)
        )
        return hmac.compare_digest(given, expected)

    def require_owner(self, request: web.Request) -> None:
        """Raises AccessError."""
        if not self.is_owner(request):
            raise AccessError(
                "the token of the process that plays the campaign is missing or wrong",
                hint="run it as the user that plays the campaign, with the same --runs",
            )
