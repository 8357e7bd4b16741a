"""Finds the code of earlier campaigns: which of them knows a revision."""

from __future__ import annotations

from pathlib import Path

from campaign.adapters.workspace import NoWorkspaceError, Workspace
from campaign.errors import NotFoundError, UsageError
from campaign.model import Origin
from campaign.runs import RunFolder, find_run, list_runs
from campaign.states import read_campaign


async def find_origin(root: Path, revision: str, *, campaign: str | None, target: str) -> Origin:
    """Where a trial that starts with `revision` (a sha, its beginning, or a tag) gets it from.

    `campaign` names the one to look in; else it is the newest that knows the revision.

    Raises:
        NotFoundError: none knows it.
        UsageError: it is another target's.
    """
    for run in [find_run(root, campaign)] if campaign is not None else list_runs(root):
        if (origin := await _origin(run, revision)) is None:
            continue
        played = await read_campaign(run)
        if played is not None and played.plan.target != target:
            raise UsageError(
                f"revision {revision} of campaign {run.name} is {played.plan.target}'s code",
                hint=f"play a profile of that target: --target {played.plan.target}",
            )
        return origin
    where = f"campaign {campaign}" if campaign is not None else f"the campaigns in {root}"
    raise NotFoundError(
        f"no revision {revision} in {where}",
        hint="reports name revisions; so does git --git-dir <campaign>/workspace.git log",
    )


async def _origin(run: RunFolder, revision: str) -> Origin | None:
    workspace = Workspace(run.path)
    try:
        found = await workspace.find(revision)
        if found is None:
            return None
        return Origin(campaign=run.name, revision=found, first_revision=await workspace.first())
    except NoWorkspaceError:
        return None
