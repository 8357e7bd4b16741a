"""The `external` operator, and how any session is watched, talked to and taken over."""

from operators.external.driver import ExternalDriver, attend
from operators.external.expected import expected_tools
from operators.external.keeping import KeptSession
from operators.external.seats import Left, Place, Seat, Seats, SessionFacts

__all__ = [
    "ExternalDriver",
    "KeptSession",
    "Left",
    "Place",
    "Seat",
    "Seats",
    "SessionFacts",
    "attend",
    "expected_tools",
]
