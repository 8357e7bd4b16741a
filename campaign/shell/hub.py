"""What executors and senses see of the shell."""

from __future__ import annotations

from typing import Protocol

from campaign.machine import Campaign
from campaign.ports import Desk


class Hub(Desk, Protocol):
    """A desk that also knows where the campaign is."""

    @property
    def campaign(self) -> Campaign | None:
        """The state after the last event; None before the first."""
