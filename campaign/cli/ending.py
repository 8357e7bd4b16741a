"""How a command that played a campaign ends."""

from __future__ import annotations

from typing import NoReturn

import typer

from campaign.cli.common import print_json, tell
from campaign.machine import Campaign
from campaign.model import Finished, Immune, Resolved
from campaign.runs import RunFolder
from reports import summarise
from reports.view import failure

EXIT_DONE = 0
EXIT_LOST = 1
EXIT_USAGE = 2
EXIT_HARNESS = 3
#: as shells say of a process that SIGINT ended
EXIT_STOPPED = 130


def leave(run: RunFolder, campaign: Campaign, *, as_json: bool) -> NoReturn:
    """Show the end, and exit with the code that says how it went."""
    say_end(run, campaign)
    if as_json:
        print_json(summarise(campaign))
    raise typer.Exit(exit_code(campaign))


def exit_code(campaign: Campaign) -> int:
    """0 all trials won, 1 one was lost, 3 the harness failed, 130 stopped before the end."""
    if failure(campaign):
        return EXIT_HARNESS
    if not isinstance(campaign.phase, Finished):
        return EXIT_STOPPED
    won = all(isinstance(trial.verdict, Resolved | Immune) for trial in campaign.done)
    return EXIT_DONE if won else EXIT_LOST


def say_end(run: RunFolder, campaign: Campaign) -> None:
    """Where the report is, and how to go on."""
    if problem := failure(campaign):
        tell(f"the harness failed: {problem}", f"logs: {run.logs}")
    if isinstance(campaign.phase, Finished):
        tell(f"report: {run.report / 'index.html'}")
    else:
        tell(f"stopped; go on with: ratchet resume {run.name} --runs {run.path.parent}")
