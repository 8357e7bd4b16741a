"""Errors that a command ends with: what happened, and what to do next."""

from __future__ import annotations

from typing import ClassVar


class RatchetError(Exception):
    """The root of what the command line shows without a traceback."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(RatchetError):
    """Wrong input; nothing was started."""

    exit_code = 2


class NotFoundError(UsageError):
    """What was named does not exist."""


class BusyError(UsageError):
    """It cannot be done now, as things stand."""


class HarnessError(RatchetError):
    """The harness failed; no verdict can be given."""


class AccessError(UsageError):
    """The secret that was given does not open this."""


class MisdirectedError(UsageError):
    """It was meant for somebody else."""
