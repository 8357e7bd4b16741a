"""A ticket as a pager would say it: what is violated since when, never why."""

from __future__ import annotations

import math
from collections.abc import Mapping

from campaign.model import Symptom, Ticket
from operators.briefing.quoting import one_line
from operators.briefing.rendering import render
from operators.toolbox.times import clock, date_and_clock

_THOUSAND = 1000
_LINK_CHARS = 500


def ticket_text(ticket: Ticket, *, links: Mapping[str, str] | None = None, session: int = 1) -> str:
    """The whole ticket; `links` are labels and their addresses."""
    return render(
        "ticket.md.j2",
        id=ticket.id,
        opened_at=date_and_clock(ticket.opened_at),
        session=session,
        symptoms=[
            {
                "name": symptom.invariant,
                "title": symptom.title,
                "value": amount(symptom.value, symptom.unit),
                "limit": amount(symptom.limit, symptom.unit),
                "since": _since(symptom, ticket),
                "operations": symptom.operations,
            }
            for symptom in ticket.symptoms
        ],
        offered=amount(ticket.offered_hz, "count"),
        users=ticket.users,
        links=[
            {"label": one_line(label, limit=_LINK_CHARS), "url": one_line(url, limit=_LINK_CHARS)}
            for label, url in (links or {}).items()
        ],
    )


def symptom_line(symptom: Symptom) -> str:
    """One symptom in a line, as it is remembered later."""
    value = amount(symptom.value, symptom.unit)
    limit = amount(symptom.limit, symptom.unit)
    concerned = f"; operations: {', '.join(symptom.operations)}" if symptom.operations else ""
    return f"{symptom.title}: {value} (limit {limit}), since {clock(symptom.since)}Z{concerned}"


def amount(value: float | None, unit: str) -> str:
    """A value with its unit, to three digits or so."""
    if value is None or math.isnan(value):
        return "no value"
    if math.isinf(value):
        return "beyond measure"
    match unit:
        case "ratio":
            return f"{_number(value * 100)} %"
        case "seconds":
            return f"{_number(value)} s"
        case "bytes":
            return f"{_number(value)} bytes"
        case _:
            return _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _THOUSAND else f"{value:.3g}"


def _since(symptom: Symptom, ticket: Ticket) -> str:
    before = ticket.opened_at - symptom.since
    if before < 1:
        return f"{clock(symptom.since)}Z"
    return f"{clock(symptom.since)}Z, {before:.0f} s before this ticket"
