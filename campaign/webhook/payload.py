"""What is sent: the documented form of a notice (docs/schema/webhook.schema.json)."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from campaign.model import SessionOutcome

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

VerdictKind: TypeAlias = Literal["immune", "resolved", "unresolved", "inconclusive"]


class _Part(BaseModel):
    """Numbers that are none (NaN, the infinities) are sent as null."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class TrialPart(_Part):
    """Which trial it was."""

    number: int = Field(ge=1, description="counted from 1")
    of: int = Field(ge=1, description="trials that the campaign plans")
    profile: str = Field(description="the profile's id: not for the operator's eyes")
    title: str = Field(description="the profile's title: not for the operator's eyes")


class SpendPart(_Part):
    """What all sessions on the ticket have cost so far; null is unknown, never zero."""

    turns: int = Field(description="turns of the operator")
    tokens: int | None = Field(description="tokens of all kinds together")
    usd: float | None = Field(description="US dollars")


class SymptomPart(_Part):
    """One violated invariant."""

    invariant: str = Field(description="its id")
    title: str = Field(description="what it is about")
    text: str = Field(description="value and limit in words, as a pager would say it")
    value: float | None = Field(description="what was measured; null: no number")
    limit: float = Field(description="above it the invariant is violated")
    unit: str = Field(description="of both: ratio, count, bytes or seconds; empty: not known")
    since: AwareDatetime = Field(description="when it was found violated")
    operations: tuple[str, ...] = Field(
        description="of the app, as its OpenAPI document calls them; empty: none in particular"
    )


class _Data(_Part):
    campaign: str = Field(description="the campaign's name")
    target: str = Field(description="the app under load")
    operator: str = Field(description="who works on its tickets")
    sequence: int = Field(
        ge=1, description="number of the journal's event that it follows from; never decreases"
    )
    summary: str = Field(description="all of it in one line, for people")
    trial: TrialPart = Field(description="the trial that it belongs to")


class TicketOpened(_Data):
    """Limits are exceeded, and somebody is called."""

    ticket: str = Field(description="the ticket's id, unique within the campaign")
    symptoms: tuple[SymptomPart, ...] = Field(description="what is violated")
    symptoms_left_out: int = Field(ge=0, description="further ones that had no room")
    offered_hz: float = Field(description="scheduled requests per second, as clients see the load")
    users: int = Field(description="simulated clients")


class DeploymentOver(_Data):
    """A deployment that the operator asked for is over, well or not."""

    ticket: str | None = Field(description="the ticket that it was made for")
    deployment: str = Field(description="its id, unique within the campaign")
    revision: str = Field(description="the commit that was deployed")
    ok: bool = Field(description="it runs; else the one before still does")
    reason: str = Field(description="why it failed; empty when it did not")
    duration_s: float | None = Field(description="from the request to its end, seconds")


class SessionOver(_Data):
    """Nobody works on the ticket any more."""

    ticket: str = Field(description="the ticket that it worked on")
    session: int = Field(ge=1, description="counts the sessions on this ticket")
    outcome: SessionOutcome = Field(
        description="how it ended; after `unavailable` the campaign stops and can be resumed"
    )
    end: str = Field(description="the same with the reason, such as `budget spent (turns: 3 of 3)`")
    root_cause: str = Field(description="what the operator says was the cause; empty: nothing")
    places: tuple[str, ...] = Field(description="where it says that it lies: files or functions")
    spend: SpendPart = Field(description="what the ticket has cost so far")


class TrialOver(_Data):
    """The verdict on a trial, with a ticket or without."""

    ticket: str | None = Field(description="null: none was opened")
    verdict: VerdictKind = Field(description="inconclusive says nothing of the operator")
    reason: str = Field(description="in words; may be empty")
    fault: str | None = Field(description="of an inconclusive trial: the part that failed")
    lost: tuple[str, ...] = Field(description="invariants that did not hold, of a lost trial")
    time_to_detect_s: float | None = Field(description="from full load to the violation, seconds")
    time_to_repair_s: float | None = Field(description="from the violation to green, seconds")
    deployments: int = Field(ge=0, description="how many were asked for")
    spend: SpendPart = Field(description="what the ticket has cost")


Content: TypeAlias = TicketOpened | DeploymentOver | SessionOver | TrialOver


class _Envelope(_Part):
    timestamp: AwareDatetime = Field(description="when it happened, not when it was sent")


class TicketOpenedNotice(_Envelope):
    """A ticket was opened."""

    type: Literal["ticket.opened"] = "ticket.opened"
    data: TicketOpened


class DeploymentNotice(_Envelope):
    """A deployment for a ticket ended."""

    type: Literal["ticket.deployment_finished"] = "ticket.deployment_finished"
    data: DeploymentOver


class SessionNotice(_Envelope):
    """The work on a ticket ended."""

    type: Literal["ticket.session_ended"] = "ticket.session_ended"
    data: SessionOver


class VerdictNotice(_Envelope):
    """A trial was judged."""

    type: Literal["trial.judged"] = "trial.judged"
    data: TrialOver


Payload: TypeAlias = TicketOpenedNotice | DeploymentNotice | SessionNotice | VerdictNotice

#: every type that is ever sent
TYPES = ("ticket.opened", "ticket.deployment_finished", "ticket.session_ended", "trial.judged")


def webhook_schema() -> dict[str, Any]:
    """The JSON Schema of a notice's body."""
    adapter: TypeAdapter[Payload] = TypeAdapter(Annotated[Payload, Field(discriminator="type")])
    body = adapter.json_schema(mode="serialization")
    return {"$schema": _DIALECT, "title": "Notice", **body}


def webhook_schema_text() -> str:
    """The same as the text of its file."""
    return json.dumps(webhook_schema(), indent=2) + "\n"
