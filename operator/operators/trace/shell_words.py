"""A shell command line as the programs that it runs; good enough to say what it is for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)")
_BETWEEN = re.compile(r"^[;&|()\n]+$")
_ASSIGNMENT = re.compile(r"^\w+=")
#: they run what follows them
_PREFIXES = frozenset(
    {"sudo", "env", "nice", "nohup", "time", "timeout", "xargs", "exec", "command", "stdbuf", "do"}
    | {"then", "else", "if", "while", "until", "!", "{"}
)
_LONGEST = 8_000
#: where a change is none of the workspace
_NOWHERE = ("/dev/", "/tmp/")  # noqa: S108 - it is compared, not written to


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One program of a command line."""

    program: str
    arguments: tuple[str, ...]
    #: files that its output goes to
    writes: tuple[str, ...]


def runs(command: str) -> tuple[Run, ...]:
    """Every program that is named in it; what cannot be parsed is taken word by word.

    Of a command that is too long to be typed, its beginning: an operator could keep us busy.
    """
    shown = _without_bodies(command)[:_LONGEST]
    return tuple(run for part in _parts(shown) if (run := _run(part)))


def _without_bodies(command: str) -> str:
    """Without what here-documents hold, and without comments."""
    kept: list[str] = []
    ends: list[str] = []
    for line in command.split("\n"):
        if ends:
            if line.strip() == ends[0]:
                ends.pop(0)
            continue
        if not line.lstrip().startswith("#"):
            kept.append(line)
            ends = _HEREDOC.findall(line)
    return "\n".join(kept)


def in_workspace(file: str) -> bool:
    """Whether a change of it can be one of the workspace."""
    return bool(file) and not file.startswith(_NOWHERE)


def _parts(command: str) -> Iterator[list[str]]:
    part: list[str] = []
    for word in _words(command):
        if _BETWEEN.match(word):
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return re.findall(r"[;|&\n]+|>+|[^\s;|&>]+", command)


def _run(words: list[str]) -> Run | None:
    left: list[str] = []
    writes: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in {">", ">>", ">|", "&>", "&>>"}:
            writes.append(next(rest, ""))
        elif word in {">&", "<", "<<", "<<-", "<<<", "<&"}:
            next(rest, "")
        else:
            left.append(word)
    while left and (
        left[0] in _PREFIXES
        or _ASSIGNMENT.match(left[0])
        or left[0].startswith("-")
        or left[0].rstrip("smhd").isdigit()
    ):
        left.pop(0)
    writes = [file for file in writes if in_workspace(file)]
    if not left:
        return Run(program="", arguments=(), writes=tuple(writes)) if writes else None
    program = left[0].rpartition("/")[2]
    return Run(program=program, arguments=tuple(left[1:]), writes=tuple(writes))
