"""Sessions at work, as people and programs outside reach them."""

from campaign.seats.joining import how_to_join, how_to_join_there
from campaign.seats.register import Register, Taken
from campaign.seats.routes import SeatRoutes
from campaign.seats.seat import OpenSeat, Reply

__all__ = [
    "OpenSeat",
    "Register",
    "Reply",
    "SeatRoutes",
    "Taken",
    "how_to_join",
    "how_to_join_there",
]
