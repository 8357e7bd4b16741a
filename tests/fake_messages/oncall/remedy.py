"""What it takes a fault to be, and what it would change."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fake_messages.oncall.conversation import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A part of a file, as it stands there and as it should."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question to the database whose answer shows that the change is at work."""

    call: Call
    #: a regular expression that the answer must hold
    expected: str


def place(path: str, function: str) -> str:
    """As file:function, or only the file when the code stands in none."""
    return f"{path}:{function}" if function else path


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A cause that the evidence names, with the change that takes it away."""

    cause: str
    change: str
    files: tuple[str, ...]
    #: as file:function
    functions: tuple[str, ...]
    edits: tuple[Edit, ...]
    check: Check
