"""Tickets, the sessions that work on them, and what a session may spend."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the work on one ticket may cost; None is no limit."""

    wall_s: float = 1800.0
    turns: int | None = None
    tokens: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignBudget:
    """What all sessions of a campaign may cost together; None is no limit."""

    tokens: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a session did cost; None is unknown, never zero."""

    turns: int = 0
    tokens: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One violated invariant as a pager would put it."""

    invariant: str
    title: str
    value: float | None
    limit: float
    since: float
    unit: str = ""
    #: of the app, as its OpenAPI document calls them; empty: it concerns no operation in particular
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What the operator gets: symptoms, never a cause or a profile's name."""

    id: str
    opened_at: float
    symptoms: tuple[Symptom, ...]
    #: scheduled requests per second and users, as the clients see the load
    offered_hz: float
    users: int


class SessionOutcome(StrEnum):
    """How a session came to its end."""

    RESOLVED = "resolved"
    GAVE_UP = "gave up"
    BUDGET_SPENT = "budget spent"
    #: the operator's own software failed; the trial is still judged
    FAILED = "failed"
    #: whoever it is cannot be reached for now; the campaign stops, and can be resumed
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One session's work: a ticket, its limits, and whose turn it is."""

    trial: int
    ticket: Ticket
    session: int
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """How the operator left."""

    outcome: SessionOutcome
    reason: str = ""
    spend: Spend = field(default_factory=Spend)
