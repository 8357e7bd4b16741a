"""`ratchet watch` and `report`: a campaign that another process plays, or played."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import typer

from campaign.adapters.journal import open_reader
from campaign.cli.common import CampaignArgument, JsonOption, RunsOption, print_json
from campaign.cli.ending import exit_code
from campaign.cli.following import follow
from campaign.errors import BusyError
from campaign.machine import step
from campaign.model import Event
from campaign.runs import RunFolder, find_run
from reports import write_report


def register(app: typer.Typer) -> None:
    app.command("watch", epilog="Example: ratchet watch")(watch)
    app.command("report", epilog="Example: ratchet report 20260101-120000-chat-db-app")(report)


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


async def _events(run: RunFolder) -> Sequence[Event]:
    async with open_reader(run.journal) as journal:
        return await journal.read()
