"""`ratchet status`, `watch`, `report`, and `pause`, `continue`, `stop` of one that is played."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaign.adapters.journal import open_reader, run_holder
from campaign.addresses import read_address
from campaign.api_client import ApiClient
from campaign.cli.common import CampaignArgument, JsonOption, RunsOption, print_json
from campaign.cli.ending import exit_code
from campaign.cli.following import follow
from campaign.errors import BusyError, HarnessError
from campaign.machine import step
from campaign.model import Event
from campaign.runs import RunFolder, api_file, find_run, list_runs
from campaign.states import read_state
from reports import write_report

_COLOURS = {"resolved": "green", "immune": "green", "unresolved": "red", "inconclusive": "yellow"}


def register(app: typer.Typer) -> None:
    app.command("status", epilog="Example: ratchet status --json")(status)
    app.command("watch", epilog="Example: ratchet watch")(watch)
    app.command("report", epilog="Example: ratchet report 20260101-120000-chat-db-app")(report)
    app.command("pause", epilog="Example: ratchet pause")(
        _sender("pause", "Hold it before its next trial.")
    )
    app.command("continue", epilog="Example: ratchet continue")(
        _sender("continue", "Go on after a pause.")
    )
    app.command("stop", epilog="Example: ratchet stop")(
        _sender("stop", "End it now; `ratchet resume` goes on.")
    )


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


def watch(runs: RunsOption, campaign: CampaignArgument = None) -> None:
    """Follow a campaign that another process plays, until it ends."""
    last = asyncio.run(follow(find_run(runs, campaign), sys.stdout))
    raise typer.Exit(exit_code(last))


def report(
    runs: RunsOption, campaign: CampaignArgument = None, *, as_json: JsonOption = False
) -> None:
    """Make the report anew from the journal, also of a campaign under way."""
    run = find_run(runs, campaign)
    events = asyncio.run(_events(run))
    if not events:
        raise BusyError(f"campaign {run.name} has no events yet")
    written = write_report(events, step, run.report)
    if as_json:
        print_json({"page": str(written.page), "summary": str(written.summary)})
    else:
        sys.stdout.write(f"{written.page}\n")


def _sender(action: str, what: str) -> Any:
    def send(runs: RunsOption, campaign: CampaignArgument = None) -> None:
        asyncio.run(_send(_playing(runs, campaign), action))

    send.__doc__ = what
    return send


def _playing(runs: Path, campaign: str | None) -> RunFolder:
    """The campaign named, or the one that is being played."""
    if campaign is not None:
        return find_run(runs, campaign)
    played = [run for run in list_runs(runs) if run_holder(run.path) is not None]
    if not played:
        raise BusyError(f"no campaign in {runs} is being played", hint="see `ratchet status --all`")
    return played[0]


async def _send(run: RunFolder, action: str) -> None:
    address = None if run_holder(run.path) is None else read_address(api_file(run))
    if address is None:
        raise BusyError(
            f"campaign {run.name} is not being played", hint=f"see `ratchet status {run.name}`"
        )
    await ApiClient(address=address).act(run.name, action)


async def _events(run: RunFolder) -> Sequence[Event]:
    async with open_reader(run.journal) as journal:
        return await journal.read()


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
