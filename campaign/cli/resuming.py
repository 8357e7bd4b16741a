"""The command that goes on with a campaign, as its user can type it."""

from __future__ import annotations

from campaign.runs import RunFolder
from campaign.stack import is_compose


def resume_command(run: RunFolder) -> str:
    """For where the command was typed: of a container neither the shell nor the folders are there.

    In a container all campaigns are in one folder, which is the default there.
    """
    if is_compose():
        return f"docker compose run --rm campaign resume {run.name}"
    return f"ratchet resume {run.name} --runs {run.path.parent}"
