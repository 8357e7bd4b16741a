"""Invariants (SLOs over Prometheus metrics) and how a sample of one is judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isnan
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["performance", "availability", "resource", "correctness"]
Unit: TypeAlias = Literal["ratio", "count", "bytes", "seconds"]


class Status(StrEnum):
    """What one evaluation says of one invariant."""

    HELD = "held"
    VIOLATED = "violated"
    #: no trustworthy data; never a pass
    UNKNOWN = "unknown"
    #: too little load of this kind is offered for the invariant to say anything
    IDLE = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """How the latency L of a slow-fraction invariant follows from the calibration.

    L = max(floor_s, times_calibrated x the p95 of a healthy request), rounded up to a bucket edge.
    """

    floor_s: float
    times_calibrated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """One SLO. The PromQL may contain `$L`, the latency limit in seconds (a bucket edge)."""

    id: str
    title: str
    kind: Kind
    unit: Unit
    #: PromQL of the judged value; violated when above `limit`
    value: str
    limit: float
    #: PromQL of how many observations the value rests on in the window
    samples: str
    #: PromQL of how many observations the offered load should have produced in the window
    offered: str
    #: with less than this offered in the window the invariant is idle
    min_offered: float
    #: the scrape jobs that the expressions read
    sources: tuple[str, ...]
    #: the label matchers of the requests that it judges, without braces; None: it judges others
    select: str | None = None
    latency: LatencyLimit | None = None
    #: the latency limit in force, in seconds, once calibrated
    latency_limit_s: float | None = None


#: Less than this part of the offered observations seen: the traffic floor is missed.
TRAFFIC_FLOOR = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What Prometheus recorded for one invariant at one evaluation; None is 'no data'."""

    invariant: str
    value: float | None = None
    samples: float | None = None
    offered: float | None = None
    #: the recording rule's own timestamp, epoch seconds
    measured_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One judged sample."""

    invariant: str
    status: Status
    limit: float
    value: float | None = None
    samples: float | None = None
    measured_at: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorHealth:
    """The load generator's own word on whether it kept its schedule."""

    #: worst wake-up lag in the last second
    lag_s: float
    #: share of one core
    cpu_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorLimits:
    """Beyond them the generator is starved: its own measurements are worth nothing."""

    max_lag_s: float = 0.25
    max_cpu_ratio: float = 0.95

    def starved(self, health: GeneratorHealth | None) -> bool:
        """A lag alone says so; a busy core alone does not (it may still keep its schedule).

        No word from the generator, or a word that is no number, counts as starved.
        """
        return health is None or not health.lag_s <= self.max_lag_s


NO_DATA = "no data"
NO_VALUE = "no value"
STARVED = "the load generator was starved"
#: offered by a generator that kept its schedule, and not observed: the app swallowed it
UNDER_FLOOR = "under the traffic floor"


def judge(
    invariant: Invariant, sample: Sample | None, *, at: float, freshness_s: float, starved: bool
) -> Reading:
    """One sample against its limit. Every doubt is UNKNOWN, Prometheus's NaN among them."""
    sample = sample or Sample(invariant=invariant.id)
    status, reason = Status.HELD, ""
    measured_at, samples, offered = sample.measured_at, sample.samples, sample.offered
    if measured_at is None or samples is None or offered is None or isnan(samples + offered):
        status, reason = Status.UNKNOWN, NO_DATA
    elif abs(at - measured_at) > freshness_s:
        status, reason = Status.UNKNOWN, f"stale by {at - measured_at:.1f} s"
    elif offered < invariant.min_offered:
        status = Status.IDLE
    elif starved and "loadgen" in invariant.sources:
        status, reason = Status.UNKNOWN, STARVED
    elif samples < TRAFFIC_FLOOR * offered:
        status, reason = Status.UNKNOWN, UNDER_FLOOR
    elif sample.value is None or isnan(sample.value):
        status, reason = Status.UNKNOWN, NO_VALUE
    elif sample.value > invariant.limit:
        status = Status.VIOLATED
    return Reading(
        invariant=invariant.id,
        status=status,
        limit=invariant.limit,
        value=sample.value,
        samples=samples,
        measured_at=measured_at,
        reason=reason,
    )
