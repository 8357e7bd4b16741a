"""What can go wrong with the Claude operator itself."""

from __future__ import annotations


class ClaudeSetupError(Exception):
    """It cannot begin: the message says what is missing and what to do."""


class BrokenStreamError(Exception):
    """An answer's stream ended, or went on, in a way that the protocol does not have."""
