"""What a tool says no with."""

from __future__ import annotations


class ToolError(Exception):
    """A tool says no: the message is for the operator and says what to do."""
