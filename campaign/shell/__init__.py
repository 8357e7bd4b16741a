"""The shell: the one loop that turns events into commands and back."""

from campaign.shell.inbox import CampaignOverError
from campaign.shell.loop import Observer, Shell

__all__ = ["CampaignOverError", "Observer", "Shell"]
