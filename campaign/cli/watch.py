"""`ratchet status`, `watch`, `report`, and `pause`, `continue`, `stop` of one that is played."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from campaign.adapters.journal import open_reader, run_holder
from campaign.cli.common import CampaignArgument, JsonOption, RunsOption, print_json
from campaign.cli.ending import exit_code
from campaign.display import display_for
from campaign.errors import HarnessError, UsageError
from campaign.machine import Campaign, fold, step
from campaign.model import Event
from campaign.runs import RunFolder, api_file, find_run, list_runs
from reports import summarise, write_report
from reports.view import phase_name

_FOLLOW_S = 0.3


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
    chosen = list_runs(runs) if everything else [find_run(runs, campaign)]
    states = [_state(run) for run in chosen]
    if as_json:
        print_json(states if everything else states[0])
        return
    console = Console(highlight=False)
    for state in states:
        console.print(_headline(state))
        if not everything:
            console.print(_trials(state))


def watch(runs: RunsOption, campaign: CampaignArgument = None) -> None:
    """Follow a campaign that another process plays, until it ends."""
    run = find_run(runs, campaign)
    last = asyncio.run(_watch(run))
    raise typer.Exit(exit_code(last))


def report(
    runs: RunsOption, campaign: CampaignArgument = None, *, as_json: JsonOption = False
) -> None:
    """Make the report anew from the journal, also of a campaign under way."""
    run = find_run(runs, campaign)
    written = write_report(_events(run), step, run.report)
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
        raise UsageError(f"no campaign in {runs} is being played")
    return played[0]


async def _send(run: RunFolder, action: str) -> None:
    file = api_file(run)
    if run_holder(run.path) is None or not file.exists():
        raise UsageError(
            f"campaign {run.name} is not being played", hint=f"see `ratchet status {run.name}`"
        )
    address = json.loads(file.read_text())
    url = f"{address['url']}/api/campaigns/{run.name}/{action}"
    headers = {"Authorization": f"Bearer {address['token']}"}
    try:
        async with aiohttp.ClientSession() as session, session.post(url, headers=headers) as answer:
            body = await answer.json()
    except aiohttp.ClientError as error:
        raise HarnessError(f"pid {address['pid']} does not answer: {error}") from error
    if not answer.ok:
        raise UsageError(body["error"], hint=body.get("hint", ""))


def _events(run: RunFolder) -> list[Event]:
    async def read() -> list[Event]:
        async with open_reader(run.path) as journal:
            return list(await journal.read())

    return asyncio.run(read())


def _state(run: RunFolder) -> dict[str, Any]:
    campaign = fold(_events(run))
    if campaign is None:
        return {"campaign": run.name, "phase": "empty", "trials": [], "pid": run_holder(run.path)}
    return {**summarise(campaign), "phase": phase_name(campaign), "pid": run_holder(run.path)}


def _headline(state: dict[str, Any]) -> str:
    pid = state["pid"]
    played = f"played by pid {pid}" if pid else "not being played"
    counts = ", ".join(f"{n} {verdict}" for verdict, n in state.get("verdicts", {}).items() if n)
    return f"[bold]{state['campaign']}[/]  {state['phase']}, {played}  {counts}"


def _trials(state: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("trial", "profile", "verdict", "detect s", "repair s", "reason"):
        table.add_column(heading)
    for number, trial in enumerate(state["trials"], start=1):
        table.add_row(
            str(number),
            trial["profile"],
            trial["verdict"] or "under way",
            _seconds(trial["time_to_detect_s"]),
            _seconds(trial["time_to_repair_s"]),
            trial["reason"],
        )
    return table


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


async def _watch(run: RunFolder) -> Campaign:
    campaign: Campaign | None = None
    with display_for(sys.stdout) as display:
        async for event in _follow(run):
            before, campaign = campaign, step(campaign, event).campaign
            display(before, event, campaign)
    if campaign is None:
        raise UsageError(f"campaign {run.name} has no events yet")
    return campaign


async def _follow(run: RunFolder) -> AsyncIterator[Event]:
    """Every event, and new ones for as long as somebody plays it."""
    seen = 0
    async with open_reader(run.path) as journal:
        while True:
            is_played = run_holder(run.path) is not None
            for event in await journal.read(after=seen):
                seen += 1
                yield event
            if not is_played:
                return
            await asyncio.sleep(_FOLLOW_S)
