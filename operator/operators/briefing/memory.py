"""What a session is told of those before it: no more than a prompt has room for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from operators.briefing.digest import digest
from operators.briefing.quoting import one_line
from operators.briefing.rendering import render
from operators.briefing.selection import Item, choose
from operators.toolbox.instruments import PastDeployment, PastTicket, Records
from operators.toolbox.times import clock, date_and_clock
from operators.trace.folder import SessionFile, sessions
from operators.trace.lines import TraceError

#: all of it together
PRIOR_CHARS = 24_000
_NOTES_CHARS = 6_500
_TICKETS_CHARS = 5_000
_DEPLOYMENTS_CHARS = 11_000
_TRANSCRIPTS_CHARS = 23_000
_MESSAGE_CHARS = 500


async def own_notes(records: Records, ticket: str) -> str:
    """What earlier sessions on this very ticket noted; empty for nothing."""
    own = [note for note in await records.notes() if note.startswith(f"{ticket}: ")]
    if not own:
        return ""
    notes = [_note(note) for note in reversed(own)]
    return _rendered(_section("Your notes on this ticket", notes, chars=_NOTES_CHARS))


async def history(records: Records, *, isolated: bool = False) -> str:
    """Its own notes, past tickets with their outcomes, and deployments with their diffs.

    Empty when there is nothing yet.
    """
    notes = [_note(note) for note in reversed(await records.notes())]
    tickets = [_ticket(ticket) for ticket in reversed(await records.tickets())]
    deployments = [_deployment(each) for each in reversed(await records.deployments())]
    if not (notes or tickets or deployments):
        return ""
    return _rendered(
        _section("Your notes", notes, chars=_NOTES_CHARS),
        _section("Past tickets", tickets, chars=_TICKETS_CHARS),
        _section("Deployments", deployments, chars=_DEPLOYMENTS_CHARS),
        isolated=isolated,
    )


async def summary(
    records: Records, folder: Path | None, *, besides: str, isolated: bool = False
) -> str:
    """A digest of the transcripts; `besides` is the session that is just beginning."""
    tickets = {ticket.id: ticket for ticket in await records.tickets()}
    past = [session for session in _past(folder) if session.name != besides]
    items = [await asyncio.to_thread(_transcript, session, tickets) for session in reversed(past)]
    if not items:
        return ""
    section = _section("Transcripts of your sessions", items, chars=_TRANSCRIPTS_CHARS)
    return _rendered(section, isolated=isolated)


def _rendered(*sections: dict[str, Any], isolated: bool = False) -> str:
    return render("history.md.j2", sections=sections, isolated=isolated)


def _section(title: str, items: Sequence[Item], *, chars: int) -> dict[str, Any]:
    return {"title": title, "chosen": choose(items, chars=chars)}


def _note(note: str) -> Item:
    return Item(title="Note", text=note, line=note)


def _ticket(ticket: PastTicket) -> Item:
    cause = ticket.root_cause.strip()
    facts = [*ticket.symptoms, f"outcome: {ticket.outcome}"]
    if cause:
        facts.append(f"root cause as it was stated: {cause}")
    said = one_line(cause, limit=80) or "no root cause stated"
    return Item(
        title=f"{ticket.id}, opened {date_and_clock(ticket.opened_at)}",
        text="\n".join(facts),
        line=f"{ticket.id} {ticket.outcome}; {said}",
    )


def _deployment(deployment: PastDeployment) -> Item:
    how = _how(deployment.ok)
    facts = [deployment.message.strip()[:_MESSAGE_CHARS]]
    if deployment.reason:
        facts.append(f"reason: {deployment.reason.strip()}")
    facts.append(deployment.diff.strip() or "(it changed no file)")
    asked_at = clock(deployment.requested_at)
    return Item(
        title=f"{deployment.id} at {asked_at}Z, revision {deployment.revision[:12]}: {how}",
        text="\n\n".join(facts),
        line=f"{deployment.id} {how}: {deployment.message}",
    )


def _how(ok: bool | None) -> str:  # noqa: FBT001 - three-valued, as `PastDeployment` has it
    match ok:
        case True:
            return "it came up"
        case False:
            return "it did not come up, and the version before went on"
        case None:
            return "its end is not on record"


def _past(folder: Path | None) -> tuple[SessionFile, ...]:
    return () if folder is None else sessions(folder)


def _transcript(session: SessionFile, tickets: dict[str, PastTicket]) -> Item:
    ticket = tickets.get(session.name.rpartition("-")[0])
    outcome = "not known yet" if ticket is None else ticket.outcome
    try:
        trace = session.read()
    except TraceError:
        text = "its transcript cannot be read"
    else:
        text = digest(trace)
    brief = one_line(text, limit=90)
    return Item(
        title=f"{session.name}: outcome of the ticket: {outcome}",
        text=text,
        line=f"{session.name} {outcome}; {brief}",
    )
