"""The live display's picture of a campaign: pure, drawn from the state and a time."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from campaign.display_lines import gates_told, unit_of, verdict_word
from campaign.machine import Campaign
from campaign.model import (
    AssertionState,
    Deployment,
    Invariant,
    LoadDimension,
    Reading,
    Status,
    TrialRecord,
    offered_hz,
    total_users,
)
from reports import words
from reports.spending import of_all, spent
from reports.summary import verdicts
from reports.view import away, failure, phase_name, started_at, state, trials

VERDICT_STYLES = {
    "resolved": "bold green",
    "unresolved": "bold red",
    "immune": "bold blue",
    "inconclusive": "bold yellow",
}
_STATUS_STYLES = {
    Status.HELD: "green",
    Status.VIOLATED: "bold red",
    Status.UNKNOWN: "yellow",
}
_ASSERTION_STYLES = {AssertionState.FAIL: "bold red", AssertionState.ERROR: "yellow"}
#: beyond this many dimensions the rest is summed up, so that a small terminal shows the rest;
#: what the profile adds comes first
_DIMENSIONS_SHOWN = 8


def draw(campaign: Campaign, lines: Sequence[str], *, now: float) -> RenderableType:
    """The whole display; `now` in epoch seconds, `lines` the last happenings."""
    body = Table.grid(expand=True, padding=(0, 3, 0, 0))
    body.add_column(ratio=5)
    body.add_column(ratio=4)
    body.add_row(_invariants(campaign), Group(_trial(campaign), Text(), _load(campaign)))
    happened = Text("\n".join(lines), style="dim", no_wrap=True, overflow="ellipsis")
    return Panel(
        Group(_header(campaign, now=now), Text(), body, Text(), happened),
        title=Text(f" {campaign.plan.campaign} "),
        title_align="left",
        border_style="dim",
    )


def _header(campaign: Campaign, *, now: float) -> RenderableType:
    plan = campaign.plan
    elapsed = words.clock(max(now, campaign.at) - started_at(campaign))
    first = Text(f"{plan.operator} on {plan.target}, {plan.mode}  {elapsed}   ")
    for verdict, count in verdicts(trials(campaign)).items():
        first.append(f"{count} {verdict}  ", style=VERDICT_STYLES[verdict] if count else "dim")
    if cost := spent(of_all(trials(campaign))):
        first.append(f" {cost}", style="dim")
    return Group(first, _phase(campaign, now=now))


def _phase(campaign: Campaign, *, now: float) -> Text:
    if failure(campaign):
        return Text(f"failed: {words.short(failure(campaign), 160)}", style="bold red")
    if away(campaign):
        told = f"the operator cannot be reached: {words.short(away(campaign), 160)}"
        return Text(told, style="bold yellow")
    if state(campaign) == "finished":
        return Text("finished", style="bold")
    trial = campaign.trial
    name = Text()
    name.append(f"trial {trial.index + 1} of {len(campaign.plan.profiles)}  ", style="bold")
    name.append(f"{trial.profile}  ")
    name.append(phase_name(campaign), style="bold cyan")
    since = getattr(campaign.phase, "since", campaign.at)
    return name.append(f" for {words.clock(max(now, campaign.at) - since)}", style="dim")


def _invariants(campaign: Campaign) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("invariant", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", style="dim", no_wrap=True)
    table.add_column("", no_wrap=True)
    readings = {reading.invariant: reading for reading in campaign.readings}
    idle = 0
    for invariant in campaign.invariants:
        reading = readings.get(invariant.id)
        if reading is not None and reading.status is Status.IDLE:
            idle += 1
            continue
        table.add_row(
            Text(invariant.id), _value(reading, invariant), _limit(invariant), _status(reading)
        )
    if idle:
        told = Text(f"{idle} idle: their traffic is not offered", style="dim")
        table.add_row(told, "", "", "")
    return table


def _limit(invariant: Invariant) -> Text:
    return Text(words.quantity(invariant.limit, invariant.unit))


def _value(reading: Reading | None, invariant: Invariant) -> Text:
    """A number that was not judged is not shown: it may be stale."""
    if reading is None or reading.status is Status.UNKNOWN:
        return Text(words.UNKNOWN, style="dim")
    style = _STATUS_STYLES[reading.status]
    return Text(words.quantity(reading.value, invariant.unit), style=style)


def _status(reading: Reading | None) -> Text:
    if reading is None:
        return Text("not yet", style="dim")
    reason = f": {words.short(reading.reason, 30)}" if reading.status is Status.UNKNOWN else ""
    return Text(f"{reading.status.value}{reason}", style=_STATUS_STYLES[reading.status])


def _trial(campaign: Campaign) -> Text:
    record = campaign.trial
    text = _ticket(record, campaign)
    for number, deployment in enumerate(record.deployments, start=1):
        text.append("\n").append_text(_deployment(number, deployment))
    text.append_text(_gates(record))
    if record.verdict is not None:
        style = VERDICT_STYLES[record.verdict.kind]
        text.append("\n").append(verdict_word(record.verdict), style=style)
        text.append(f" {words.short(record.verdict.reason, 120)}", style="dim")
    return text


def _ticket(record: TrialRecord, campaign: Campaign) -> Text:
    if record.ticket is None:
        return Text("no ticket", style="dim")
    text = Text()
    text.append(f"{record.ticket.id} ", style="bold")
    text.append(words.short(record.session_end, 60) or f"session {record.sessions} at work")
    if cost := spent(record.spends):
        text.append(f"\n{cost}", style="dim")
    for reading in record.worst:
        unit = unit_of(reading.invariant, campaign)
        worst = words.quantity(reading.value, unit)
        text.append(f"\n{reading.invariant} worst {worst}", style="dim")
    return text


def _deployment(number: int, deployment: Deployment) -> Text:
    text = Text(f"deployment {number} {words.revision(deployment.revision)} ")
    if deployment.ok is None:
        return text.append("under way", style="cyan")
    if deployment.ok:
        return text.append("ok", style="green")
    return text.append(f"failed: {words.short(deployment.reason, 60)}", style="red")


def _gates(record: TrialRecord) -> Text:
    """How far they are, and what did not pass."""
    if not record.assertions:
        return Text()
    text = Text(f"\n{gates_told(record)}")
    for result in record.assertions:
        if result.state in _ASSERTION_STYLES:
            told = f"\n{result.gate} {words.short(result.name, 40)} {result.state}"
            text.append(told, style=_ASSERTION_STYLES[result.state])
    return text


def _load(campaign: Campaign) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("load", no_wrap=True)
    table.add_column("users", justify="right")
    table.add_column("offered", justify="right")
    table.add_column("")
    base = campaign.base_load
    added_first = sorted(campaign.load, key=lambda dimension: dimension in base)
    for dimension in added_first[:_DIMENSIONS_SHOWN]:
        table.add_row(*_dimension(dimension))
    if rest := tuple(added_first[_DIMENSIONS_SHOWN:]):
        rate = words.rate(offered_hz(rest))
        table.add_row(f"{len(rest)} more", str(total_users(rest)), rate, "", style="dim")
    if not campaign.load:
        table.add_row(Text("none", style="dim"), "", "", "")
    return table


def _dimension(dimension: LoadDimension) -> tuple[Text, str, str, Text]:
    bursts = Text("bursts" if dimension.arrival == "burst" else "", style="yellow")
    rate = words.rate(dimension.offered_hz)
    return Text(dimension.behaviour), str(dimension.users), rate, bursts
