"""What is wrong with a file that a person wrote: all of it, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to correct."""

    file: Path
    #: from 1; None when the file has no such line (it is missing, or is a folder)
    line: int | None
    #: dotted path of the key, such as `load.0.rate_hz`; empty for the file as a whole
    field: str
    #: what is wrong and what to do
    message: str

    def __str__(self) -> str:
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class ProfileError(Exception):
    """Files of a target were refused; `problems` names everything that is wrong with them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n  ".join([f"{count}:", *map(str, self.problems)]))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the likeliest ones, else all that exist."""
    choices = sorted(known)
    close = get_close_matches(name, choices, n=2)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(choices) or 'none'}"
