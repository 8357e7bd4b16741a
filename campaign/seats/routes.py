"""The HTTP API's part on sessions."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from campaign.seats.gate import Gate
from campaign.seats.people_routes import PeopleRoutes
from campaign.seats.register import Register
from campaign.seats.working_routes import WorkingRoutes


class SeatRoutes:
    """`register` gives that of the campaign that is played, or was last; None: none yet."""

    def __init__(self, register: Callable[[], Register | None], *, token: str) -> None:
        self._gate = Gate(register, token=token)

    @property
    def routes(self) -> list[web.RouteDef]:
        """Each looks at its secret itself."""
        return [*WorkingRoutes(self._gate).routes, *PeopleRoutes(self._gate).routes]
