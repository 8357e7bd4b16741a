"""What goes over the socket of the shell's service: HTTP with JSON."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

#: a shell's own are what is longest: its command, or a whole work tree for an errand
MAX_BODY_BYTES = 96 << 20


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Opening(_Wire):
    """A shell that is wanted; it lasts as long as the connection that asked for it."""

    #: nothing can be changed in it, nor the database reached
    looks: bool = False
    #: below the folder of environments
    python_environment: str | None = None
    #: besides what every shell has
    environment: Mapping[str, str] = Field(default_factory=dict)


class Opened(_Wire):
    """The first line of the answer; nothing follows until the shell is closed."""

    id: str


class Command(_Wire):
    """One for bash."""

    command: str
    timeout_s: float = Field(gt=0, le=3600)


class Errand(_Wire):
    """A program of the harness's choosing, in the workspace, as the operator's user.

    On the wire its input follows in the body, after the line that this is.
    """

    argv: tuple[str, ...] = Field(min_length=1)


class Ended(_Wire):
    """How a command, or an errand, ended."""

    exit_code: int
    output: str


class Refused(_Wire):
    """409: what the operator is told. 503: what is broken."""

    reason: str
