"""Where campaigns are, from their journals: what `ratchet status` and the API tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from campaign.adapters.journal import JournalError, open_reader
from campaign.machine import Campaign, fold
from campaign.model import Event
from campaign.run_holder import run_holder
from campaign.runs import RunFolder
from reports import summarise
from reports.view import phase_name


async def read_campaign(run: RunFolder) -> Campaign | None:
    """What the journal's events lead to; None when there are none yet.

    Raises:
        JournalError: it cannot be read or trusted.
    """
    return fold(await read_events(run))


async def read_events(run: RunFolder) -> Sequence[Event]:
    """Everything that has happened, oldest first.

    Raises:
        JournalError: it cannot be read or trusted.
    """
    async with open_reader(run.journal) as journal:
        return await journal.read()


async def read_state(run: RunFolder) -> dict[str, Any]:
    """The summary, the phase by name, and the pid of the process that plays it.

    A journal that cannot be read is a state too: one bad folder hides no others.
    """
    pid = run_holder(run.path)
    try:
        campaign = await read_campaign(run)
    except JournalError as error:
        return _blank(run, phase="unreadable", failure=error.reason, pid=pid)
    if campaign is None:
        return _blank(run, phase="empty", failure=None, pid=pid)
    return {
        **summarise(campaign),
        "phase": phase_name(campaign),
        "trial": campaign.trial.index,
        "pid": pid,
    }


def _blank(run: RunFolder, *, phase: str, failure: str | None, pid: int | None) -> dict[str, Any]:
    return {
        "campaign": run.name,
        "phase": phase,
        "trial": None,
        "failure": failure,
        "pid": pid,
        "verdicts": {},
        "trials": [],
    }
