"""Offered load, by dimension."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

Arrival: TypeAlias = Literal["staggered", "burst"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDimension:
    """Users that all do the same thing at the same scheduled rate (open loop)."""

    behaviour: str
    users: int
    #: scheduled arrivals per second of each user
    rate_hz: float
    #: staggered: the users' arrivals are spread over the period; burst: all at the same instants
    arrival: Arrival = "staggered"
    #: what the behaviour acts on (id ranges, terms, sizes); checked by the load generator
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def offered_hz(self) -> float:
        return self.users * self.rate_hz


LoadVector: TypeAlias = tuple[LoadDimension, ...]


def offered_hz(load: LoadVector) -> float:
    """Scheduled requests per second of the whole vector."""
    return sum(dimension.offered_hz for dimension in load)


def total_users(load: LoadVector) -> int:
    return sum(dimension.users for dimension in load)


def scaled(load: LoadVector, rate_scale: float) -> LoadVector:
    """The same users at `rate_scale` times the rate (bursts keep their period)."""
    return tuple(
        dimension
        if dimension.arrival == "burst"
        else replace(dimension, rate_hz=round(dimension.rate_hz * rate_scale, 4))
        for dimension in load
    )
