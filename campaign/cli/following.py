"""Shows a campaign that another process plays, from its journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TextIO

from campaign.adapters.journal import open_reader
from campaign.display import display_for
from campaign.errors import BusyError
from campaign.machine import Campaign, step
from campaign.model import Event
from campaign.run_holder import run_holder
from campaign.runs import RunFolder

_LOOK_S = 0.3


async def follow(run: RunFolder, stream: TextIO) -> Campaign:
    """Show what happened and happens, until nobody plays it any more.

    Raises:
        BusyError: nothing has happened yet.
    """
    campaign: Campaign | None = None
    with display_for(stream) as display:
        async for event in _events(run):
            before, campaign = campaign, step(campaign, event).campaign
            display(before, event, campaign)
    if campaign is None:
        raise BusyError(f"campaign {run.name} has no events yet")
    return campaign


async def _events(run: RunFolder) -> AsyncIterator[Event]:
    """Every event, and new ones for as long as somebody plays it."""
    seen = 0
    async with open_reader(run.journal) as journal:
        while True:
            is_played = run_holder(run.path) is not None
            for event in await journal.read(after=seen):
                seen += 1
                yield event
            if not is_played:
                return
            await asyncio.sleep(_LOOK_S)
