"""The pure core: state, event -> state, commands."""

from campaign.machine.state import Campaign, Step
from campaign.machine.step import fold, step

__all__ = ["Campaign", "Step", "fold", "step"]
