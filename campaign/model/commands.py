"""What the core asks of the world. Every command is safe to give twice (see `id`s)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from campaign.model.load import LoadVector
from campaign.model.profile import Profile
from campaign.model.ticket import Budget, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareStack:
    """Start what does not run yet, and calibrate once; `fresh`: a new database, the first code."""

    trial: int
    fresh: bool
    #: None: the unmodified app
    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSnapshot:
    """Keep the state that the trial starts in, with the load off; `id` makes it once only."""

    id: str
    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowData:
    """Load the profile's data; `id` makes a second time a no-op."""

    id: str
    trial: int
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyLoad:
    """Replace the whole offered load."""

    id: str
    trial: int
    load: LoadVector


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSession:
    """Hand the ticket to the operator."""

    trial: int
    ticket: Ticket
    session: int
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSession:
    """End a session that is still at work."""

    trial: int
    ticket: str
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGates:
    """Audit the live app; `id` is the audit that its results carry."""

    id: str
    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelGates:
    """End an audit that is still at work: what it would find counts no more."""

    id: str
    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTrial:
    """Tag the revision and keep what the trial leaves behind."""

    trial: int


Command: TypeAlias = (
    PrepareStack
    | TakeSnapshot
    | GrowData
    | ApplyLoad
    | StartSession
    | CancelSession
    | RunGates
    | CancelGates
    | CloseTrial
)
