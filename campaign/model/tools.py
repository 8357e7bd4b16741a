"""What an operator's tools get back from the world."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command in the workspace ended, and the last of what it printed (both streams)."""

    exit_code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOutcome:
    """What the supervisor said of one deployment."""

    ok: bool
    #: why it failed, with the last log lines; empty when it did not
    reason: str
    duration_s: float
    drained_first: bool
    source_hash: str
