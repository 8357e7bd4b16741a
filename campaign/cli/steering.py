"""`ratchet pause`, `continue` and `stop`: of a campaign that another process plays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import typer

from campaign.addresses import read_address
from campaign.api_client import ApiClient
from campaign.cli.common import CampaignArgument, RunsOption
from campaign.errors import BusyError
from campaign.run_holder import run_holder
from campaign.runs import RunFolder, api_file, find_run, list_runs


def register(app: typer.Typer) -> None:
    app.command("pause", epilog="Example: ratchet pause")(
        _sender("pause", "Hold it before its next trial.")
    )
    app.command("continue", epilog="Example: ratchet continue")(
        _sender("continue", "Go on after a pause.")
    )
    app.command("stop", epilog="Example: ratchet stop")(
        _sender("stop", "End it now; `ratchet resume` goes on.")
    )


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
