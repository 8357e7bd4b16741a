"""What can go wrong while processes are started."""

from __future__ import annotations

from campaign.errors import RatchetError


class StackError(RatchetError):
    """The stack did not come up, or did not stay up."""


class MissingProgramError(StackError):
    """A program or user that the stack needs is not there, or too old."""

    exit_code = 2


class PortInUseError(StackError):
    """A port that was asked for by number belongs to somebody else."""

    exit_code = 2


class NotEnoughSpaceError(StackError):
    """The disk is too full to start a database on it."""

    exit_code = 2


class StackInUseError(StackError):
    """Another live process runs a stack in this run folder."""

    exit_code = 2


class UnreachableFolderError(StackError):
    """The user a component runs as cannot enter the folder it was given."""

    exit_code = 2


class BadRulesError(StackError):
    """promtool refused Prometheus' configuration or a rules file."""

    exit_code = 2


class ComponentFailedError(StackError):
    """A component ended, or stayed silent, before it was ready."""

    def __init__(self, component: str, reason: str, log_tail: tuple[str, ...] = ()) -> None:
        self.component = component
        self.reason = reason
        self.log_tail = log_tail
        tail = "".join(f"\n  {line}" for line in log_tail[-10:])
        super().__init__(f"{component} {reason}{tail and '; its last lines:'}{tail}")
