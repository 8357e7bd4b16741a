"""The HTTP API's part on sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from campaign.seats.gate import Gate
from campaign.seats.people_routes import PeopleRoutes
from campaign.seats.register import Register
from campaign.seats.working_routes import WorkingRoutes


class SeatRoutes:
    """`register` gives that of the campaign that is played, or was last; None: none yet."""

    def __init__(self, register: Callable[[], Register | None], *, token: str) -> None:
        gate = Gate(register, token=token)
        #: each looks at its secret itself
        self.routes: Sequence[web.RouteDef] = (
            *WorkingRoutes(gate).routes,
            *PeopleRoutes(gate).routes,
        )
