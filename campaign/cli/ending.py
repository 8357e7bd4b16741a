"""How a command that played a campaign ends."""

from __future__ import annotations

from typing import NoReturn

import typer

from campaign.cli.common import print_json, tell
from campaign.cli.exit_codes import (
    EXIT_AWAY,
    EXIT_DONE,
    EXIT_HARNESS,
    EXIT_LOST,
    EXIT_STOPPED,
)
from campaign.cli.resuming import resume_command
from campaign.machine import Campaign
from campaign.model import Finished, Immune, Resolved
from campaign.runs import RunFolder
from reports import summarise
from reports.view import away, failure


def leave(run: RunFolder, campaign: Campaign, *, as_json: bool) -> NoReturn:
    """Show the end, and exit with the code that says how it went."""
    say_end(run, campaign)
    if as_json:
        print_json(summarise(campaign))
    raise typer.Exit(exit_code(campaign))


def exit_code(campaign: Campaign) -> int:
    """0 all won, 1 one lost, 3 the harness failed, 4 the operator is away, 130 stopped."""
    if failure(campaign):
        return EXIT_HARNESS
    if away(campaign):
        return EXIT_AWAY
    if not isinstance(campaign.phase, Finished):
        return EXIT_STOPPED
    won = all(isinstance(trial.verdict, Resolved | Immune) for trial in campaign.done)
    return EXIT_DONE if won else EXIT_LOST


def say_end(run: RunFolder, campaign: Campaign) -> None:
    """Where the report is, and how to go on."""
    if problem := failure(campaign):
        tell(f"the harness failed: {problem}", f"logs: {run.logs}")
    if reason := away(campaign):
        ticket = "" if campaign.trial.ticket is None else f"; {campaign.trial.ticket.id} stays open"
        tell(f"the operator cannot be reached: {reason}{ticket}, and no verdict was given")
        tell(
            "once it can be reached, a fresh session takes the ticket up with the time it had left"
        )
    if isinstance(campaign.phase, Finished):
        tell(f"report: {run.report / 'index.html'}")
    else:
        tell(f"stopped; go on with: {resume_command(run)}")
