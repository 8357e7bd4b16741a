"""Puts a session's briefing together: the same whoever the operator is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from campaign.model import Budget, OperatorOptions, Ticket
from operators.briefing import memory
from operators.briefing.quoting import one_line
from operators.briefing.rendering import render
from operators.briefing.ticket import ticket_text
from operators.session import Briefing, ToolSpec
from operators.toolbox.instruments import Records

_METRICS = 300
_BRIEF_CHARS = 200
_SENTENCE = re.compile(r"(?<=[.!?])\s")


async def make_briefing(
    ticket: Ticket,
    *,
    options: OperatorOptions,
    budget: Budget,
    specs: Sequence[ToolSpec],
    records: Records,
    session: int = 1,
    traces: Path | None = None,
    metrics: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    isolated: bool = False,
) -> Briefing:
    """What the operator is told at the beginning.

    Args:
        ticket: what the pager says.
        options: persona, memory and plan mode are told.
        budget: of the work on this ticket.
        specs: the tools that this session has.
        records: what earlier sessions left.
        session: counts the sessions on this ticket, from 1.
        traces: the campaign's folder of traces, for the memory `summary`.
        metrics: names that can be asked for, for the persona `informed`.
        links: labels, and where that is to be found, put below the ticket.
        isolated: every ticket begins with the app as it was delivered.
    """
    prior = await _prior(
        ticket, options, records, session=session, traces=traces, isolated=isolated
    )
    return Briefing(
        role=role_text(
            options=options, budget=budget, specs=specs, metrics=metrics, isolated=isolated
        ),
        prior=prior,
        ticket=ticket_text(ticket, links=links, session=session),
    )


def role_text(
    *,
    options: OperatorOptions,
    budget: Budget,
    specs: Sequence[ToolSpec],
    metrics: Sequence[str] = (),
    isolated: bool = False,
) -> str:
    """Who the operator is, how to work, and within what."""
    names = sorted(metrics)
    return render(
        "role.md.j2",
        plan_mode=options.plan_mode,
        approve=options.approve,
        budgets=budget_words(budget),
        remembers=options.memory != "none",
        isolated=isolated,
        informed=options.persona == "informed",
        tool_names=[spec.name for spec in specs],
        tools=[{"name": spec.name, "brief": _brief(spec)} for spec in specs],
        metrics=[one_line(name, limit=_BRIEF_CHARS) for name in names[:_METRICS]],
        more_metrics=max(0, len(names) - _METRICS),
    )


def budget_words(budget: Budget) -> list[str]:
    """Each limit there is, as people say it."""
    words = [_minutes(budget.wall_s)]
    if budget.turns is not None:
        words.append(f"{budget.turns:,} turns")
    if budget.tokens is not None:
        words.append(f"{budget.tokens:,} tokens")
    if budget.usd is not None:
        words.append(f"${budget.usd:.2f}")
    return words


async def _prior(
    ticket: Ticket,
    options: OperatorOptions,
    records: Records,
    *,
    session: int,
    traces: Path | None,
    isolated: bool,
) -> str:
    """With no memory of other tickets, a session that was cut off still goes on with its own."""
    match options.memory:
        case "none":
            return await memory.own_notes(records, ticket.id) if session > 1 else ""
        case "history":
            return await memory.history(records, isolated=isolated)
        case "summary":
            name = f"{ticket.id}-s{session}"
            return await memory.summary(records, traces, besides=name, isolated=isolated)


def _brief(spec: ToolSpec) -> str:
    sentence = _SENTENCE.split(spec.description.strip(), maxsplit=1)[0]
    return one_line(sentence, limit=_BRIEF_CHARS)


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} seconds"
    return f"{minutes:.3g} minute{'' if minutes == 1 else 's'}"
