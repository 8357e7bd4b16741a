"""What a tool gives back to whoever called it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text is all that an operator sees; the rest is for the record."""

    text: str
    is_error: bool = False
    #: of a command; None for other tools
    exit_code: int | None = None
    #: what the call changed in the workspace, as a unified diff
    diff: str = ""
    #: it says so itself: not all of the change is in it
    diff_cut: bool = False
    #: the ticket is closed: no tool works any more
    ends_session: bool = False
