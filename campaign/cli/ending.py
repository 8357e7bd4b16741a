"""How a command that played a campaign ends."""

from __future__ import annotations

from campaign.cli.common import tell
from campaign.machine import Campaign
from campaign.model import Finished, Immune, Resolved
from campaign.runs import RunFolder

EXIT_DONE = 0
EXIT_LOST = 1
EXIT_HARNESS = 3
#: as shells say of a process that SIGINT ended
EXIT_STOPPED = 130


def exit_code(campaign: Campaign) -> int:
    """0 all trials won, 1 one was lost, 3 the harness failed, 130 stopped before the end."""
    if not isinstance(campaign.phase, Finished):
        return EXIT_STOPPED
    if campaign.phase.failure:
        return EXIT_HARNESS
    won = all(isinstance(trial.verdict, Resolved | Immune) for trial in campaign.done)
    return EXIT_DONE if won else EXIT_LOST


def say_end(run: RunFolder, campaign: Campaign) -> None:
    """Where the report is, and how to go on."""
    match campaign.phase:
        case Finished(failure=""):
            tell(f"report: {run.report / 'index.html'}")
        case Finished(failure=failure):
            tell(f"the harness failed: {failure}", f"logs: {run.logs}")
        case _:
            tell(f"stopped; go on with: ratchet resume {run.name} --runs {run.path.parent}")
