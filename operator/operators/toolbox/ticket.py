"""The ticket: reading it, saying what one is about, closing it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from campaign.model import NoteWritten, PlanFiled, Ticket, TicketAcknowledged, TicketResolved
from operators.toolbox.answer import Answer
from operators.toolbox.seen_through import seen_through
from operators.toolbox.times import clock, date_and_clock
from operators.toolbox.tool import Arguments, Effect, Tool, Work

_MAX_PLACES = 50

#: `main.py`, or `main.py:start`
Place = Annotated[str, Field(min_length=1, max_length=500)]


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


class NoArguments(Arguments):
    """None."""


class PlanArguments(Arguments):
    """A plan."""

    plan: str = Field(
        max_length=50_000,
        description="What you have found, what you mean to change, and how you will see that it "
        "helped. Not empty.",
    )
    _said = field_validator("plan")(_not_empty)


class NoteArguments(Arguments):
    """A note."""

    text: str = Field(
        max_length=10_000, description="What whoever has the next ticket should know. Not empty."
    )
    _said = field_validator("text")(_not_empty)


class AcknowledgeArguments(Arguments):
    """What is told to whoever watches."""

    message: str = Field(default="", max_length=2_000, description="A word on it, if you like.")


class ResolveArguments(Arguments):
    """The root cause, in words and as places."""

    root_cause: str = Field(
        max_length=20_000,
        description="What was wrong, why it showed now, and what you did about it. Not empty.",
    )
    files: list[Place] | None = Field(
        default=None,
        max_length=_MAX_PLACES,
        description='The files where the cause was, relative to /srv/app. Example: ["main.py"]',
    )
    functions: list[Place] | None = Field(
        default=None,
        max_length=_MAX_PLACES,
        description='The functions where the cause was, as file:function. Example: ["main.py:run"]',
    )
    _said = field_validator("root_cause")(_not_empty)

    @property
    def places(self) -> tuple[str, ...]:
        named = (*(self.files or ()), *(self.functions or ()))
        return tuple(dict.fromkeys(place.strip().removeprefix("/srv/app/") for place in named))


async def _read(work: Work, _: NoArguments) -> Answer:
    standing = "" if work.standing is None else await work.standing()
    now = f"It is {date_and_clock(work.desk.now())}."
    return Answer(text="\n\n".join(filter(None, (work.ticket_text(), standing, now))))


async def _file_plan(work: Work, arguments: PlanArguments) -> Answer:
    await work.desk.record(PlanFiled(**work.whose, at=work.desk.now(), plan=arguments.plan))
    return Answer(text="the plan is filed: you may change the files, the data and what runs now")


async def _write_note(work: Work, arguments: NoteArguments) -> Answer:
    await work.desk.record(NoteWritten(**work.whose, at=work.desk.now(), text=arguments.text))
    return Answer(text="noted, for later tickets")


async def _acknowledge(work: Work, arguments: AcknowledgeArguments) -> Answer:
    await work.desk.record(
        TicketAcknowledged(**work.whose, at=work.desk.now(), message=arguments.message)
    )
    return Answer(text="acknowledged")


async def _resolve(work: Work, arguments: ResolveArguments) -> Answer:
    async def close() -> None:
        await work.desk.record(
            TicketResolved(
                **work.whose,
                at=work.desk.now(),
                root_cause=arguments.root_cause,
                places=arguments.places,
            )
        )
        work.deed.resolved = True

    # Whoever is cancelled meanwhile must not leave it open to whether it is closed.
    await seen_through(close())
    return Answer(text="resolved; recovery is being checked from outside", ends_session=True)


def plain_ticket(ticket: Ticket) -> str:
    """The least that a pager would say."""
    lines = [f"Ticket {ticket.id}, opened {date_and_clock(ticket.opened_at)}"]
    for symptom in ticket.symptoms:
        value = "no value" if symptom.value is None else f"{symptom.value:.4g}"
        lines.append(
            f"- {symptom.title}: {value} {symptom.unit}".rstrip()
            + f" (limit {symptom.limit:.4g}), since {clock(symptom.since)}"
        )
        if symptom.operations:
            lines.append(f"  operations: {', '.join(symptom.operations)}")
    lines.append(f"Load: {ticket.users} users, {ticket.offered_hz:.1f} requests/s offered.")
    return "\n".join(lines)


def _allows(_: Arguments) -> Effect:
    return Effect.ALLOWS


def _closes(_: Arguments) -> Effect:
    return Effect.CLOSES


READ = Tool(
    name="read_ticket",
    description="""\
Read the ticket again: which symptoms there are since when, values against limits, the operations \
concerned, the load as clients see it; and how each symptom stands at this moment.
It takes no arguments. It tells what is seen from outside, never the cause. For more than the last \
few seconds use query_metrics.""",
    arguments=NoArguments,
    run=_read,
)

PLAN = Tool(
    name="file_plan",
    description="""\
File your plan. Until you have, nothing can be changed: edits and deploy are refused, bash sees \
/srv/app read-only (or is refused), sql runs only statements that read, http_request only GET and \
HEAD; files, metrics and logs can be read as ever. It may be filed again when the plan changes.
Limits: 50,000 characters, not empty.
Example: {"plan": "Replies queue behind one lock, see … I will … and then check …"}""",
    arguments=PlanArguments,
    run=_file_plan,
    effect=_allows,
    plan_mode_only=True,
)

NOTE = Tool(
    name="write_note",
    description="""\
Write down something for whoever works on later tickets of this service, such as your later self, \
who will remember nothing else: what you learned, what to watch, what you left undone.
Limits: 10,000 characters a note, not empty.
Example: {"text": "The pool is created in pool.py; the server allows 25 connections in all."}""",
    arguments=NoteArguments,
    run=_write_note,
)

ACKNOWLEDGE = Tool(
    name="acknowledge",
    description="""\
Tell whoever watches that somebody is at work on the ticket. It changes nothing else.
Example: {"message": "Looking at the slow queries"}""",
    arguments=AcknowledgeArguments,
    run=_acknowledge,
)

RESOLVE = Tool(
    name="resolve",
    description="""\
Close the ticket with its root cause. It ends your session: no tool works after it, and whether \
the service has recovered is then checked from outside, under full load. Do it once you have seen \
in the metrics that the symptoms are gone, not before.
Limits: root_cause must not be empty; at most 50 files and 50 functions.
Example: {"root_cause": "Each request opened a connection of its own …", "files": ["pool.py"], \
"functions": ["pool.py:connect"]}
Calls that are under way are waited for first. When it is refused, the error says which argument \
is wrong, and the session goes on.""",
    arguments=ResolveArguments,
    run=_resolve,
    effect=_closes,
)
