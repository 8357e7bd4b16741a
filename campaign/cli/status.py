"""`ratchet status`: where campaigns are."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaign.cli.common import CampaignArgument, JsonOption, RunsOption, print_json
from campaign.errors import HarnessError
from campaign.runs import find_run, list_runs
from campaign.states import read_state

_COLOURS = {"resolved": "green", "immune": "green", "unresolved": "red", "inconclusive": "yellow"}


def register(app: typer.Typer) -> None:
    app.command("status", epilog="Example: ratchet status --json")(status)


def status(
    runs: RunsOption,
    campaign: CampaignArgument = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every campaign, one a line.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Where a campaign is and how its trials ended."""
    if everything:
        _show_all([asyncio.run(read_state(run)) for run in list_runs(runs)], as_json=as_json)
        return
    state = asyncio.run(read_state(find_run(runs, campaign)))
    if state["phase"] == "unreadable":
        raise HarnessError(state["failure"])
    if as_json:
        print_json(state)
        return
    console = Console(highlight=False)
    console.print(_headline(state))
    console.print(_trials(state))
    console.print(_reasons(state))


def _show_all(states: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(states)
        return
    console = Console(highlight=False)
    for state in states:
        console.print(_headline(state))


def _headline(state: dict[str, Any]) -> Text:
    """The name, where it is, who plays it, and how many trials ended how."""
    where = [state["phase"]]
    if state["pid"]:
        where.append(f"played by pid {state['pid']}")
    elif state["phase"] not in ("finished", "stopped"):
        where.append("played by nobody")
    line = Text.assemble((state["campaign"], "bold"), "  ", ", ".join(where))
    for verdict, count in state["verdicts"].items():
        if count:
            line.append(f"  {count} {verdict}", style=_COLOURS[verdict])
    return line if not state["failure"] else line.append(f"  {state['failure']}", style="red")


def _trials(state: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("trial", justify="right")
    table.add_column("profile", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("detected", justify="right", no_wrap=True)
    table.add_column("repaired", justify="right", no_wrap=True)
    for number, trial in enumerate(state["trials"], start=1):
        verdict = trial["verdict"] or "under way"
        table.add_row(
            str(number),
            trial["profile"],
            Text(verdict, style=_COLOURS.get(verdict, "")),
            _seconds(trial["time_to_detect_s"]),
            _seconds(trial["time_to_repair_s"]),
        )
    return table


def _reasons(state: dict[str, Any]) -> Table:
    """Below the table, since they may take a whole line and more."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right", style="dim", min_width=len("trial"))
    for number, trial in enumerate(state["trials"], start=1):
        if trial["reason"]:
            table.add_row(str(number), Text(trial["reason"]))
    return table


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
