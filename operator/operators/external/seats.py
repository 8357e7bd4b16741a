"""How a session can be reached from outside while it is at work. The campaign implements these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from campaign.model import Assignment, SessionResult, Spend
from operators.session import Driver, Session, ToolSpec
from operators.toolbox.approvals import Decision
from operators.toolbox.equipment import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What is known of a session before it begins."""

    assignment: Assignment
    #: who is to work on it, such as "claude"
    operator: str
    #: its trace, one event a line, while it is written; None: there is none to watch
    trace: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Whoever had the session has given it back."""

    reason: str


class Place(Protocol):
    """A session that somebody outside works on, as the driver that waits for them sees it."""

    def offered(self, session: Session) -> AbstractContextManager[None]:
        """Within the block whoever asks first may have it."""

    @property
    def taken(self) -> bool:
        """Somebody has had it, now or earlier."""

    @property
    def spend(self) -> Spend:
        """What the session has cost so far, by whoever worked on it; a call counts as a turn."""

    async def left(self) -> Left | None:
        """Waits until something has happened; None: look whether it is resolved or too late.

        Raises whatever made the tools unusable.
        """


class Seat(Protocol):
    """One session at work. It also is the toolbox's `Approvals`."""

    async def ask(self, approval: str, tool: str, arguments: Mapping[str, Any]) -> Decision:
        """Waits for a person's answer, however long that takes; see `Approvals`."""

    async def messages(self) -> Sequence[str]:
        """What people have said since the last time; see `Session.messages`."""

    async def drive(self, driver: Driver, session: Session) -> SessionResult:
        """The driver's work; when a person takes the session over, theirs after it."""


class Seats(Protocol):
    """The register of sessions at work."""

    def expect(self, specs: Sequence[ToolSpec]) -> None:
        """The tools that sessions will have, for clients that ask before there is a ticket."""

    def open(self, facts: SessionFacts, desk: Desk) -> AbstractAsyncContextManager[Seat]:
        """The session can be reached within the block; afterwards its tokens are dead."""

    def place(self, assignment: Assignment) -> Place:
        """Of a session that is open."""
