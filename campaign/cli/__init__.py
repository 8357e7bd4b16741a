"""The command `ratchet`."""

from campaign.cli.app import main

__all__ = ["main"]
