"""Postgres' log, of which operators see what was said to or about the app's role.

Lines begin as the stack has it: time, `[pid]`, then `user@database` except of the server's own
processes (log_line_prefix `%m [%p] %q%u@%d `). What follows without such a beginning belongs to
the line before. Statements of other roles within are taken out: a deadlock quotes both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from campaign.adapters.instruments.log_lines import LineFacts, rank_of

_BEGINNING = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC \[(?P<pid>\d+)\] "
    r"(?:(?P<user>[^\s@]+)@(?P<database>\S+) )?(?P<kind>[A-Z]+[0-9]?):  "
)
#: these go on with the message before
_FURTHER = frozenset({"DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY", "LOCATION"})
_QUOTED = re.compile(r"(\bProcess (\d+): )(?!waits for)(.*)", re.DOTALL)
_KINDS: Mapping[str, str] = {"LOG": "info", "DEBUG1": "debug"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One message, with what belongs to it."""

    text: str
    facts: LineFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    at: str
    pid: int
    user: str
    kind: str
    text: str


def entries_of(newest_first: Iterable[str], *, role: str) -> Iterator[LogEntry]:
    """The role's messages, newest first, each with its details after it."""
    further: list[_Line] = []
    pids: set[int] = set()
    for line in _whole_lines(newest_first):
        if line.user != role:
            continue
        pids.add(line.pid)
        if line.kind in _FURTHER:
            further.append(line)
            continue
        mine = [each for each in further if each.pid == line.pid]
        further = [each for each in further if each.pid != line.pid][-100:]
        texts = [line.text, *(_without_others(each, pids).text for each in reversed(mine))]
        yield LogEntry(
            text="\n".join(texts),
            facts=LineFacts(rank=_rank(line.kind), at=_epoch(line.at)),
        )


def _whole_lines(newest_first: Iterable[str]) -> Iterator[_Line]:
    rest: list[str] = []
    for text in newest_first:
        found = _BEGINNING.match(text)
        if found is None:
            rest.append(text)
            continue
        yield _Line(
            at=found["at"],
            pid=int(found["pid"]),
            user=found["user"] or "",
            kind=found["kind"],
            text="\n".join([text, *reversed(rest)]),
        )
        rest = []


def _without_others(line: _Line, pids: set[int]) -> _Line:
    """What a process executed that is not known to be the role's is nobody's business here."""
    if line.kind != "DETAIL":
        return line
    lines, hidden = [], False
    for text in line.text.splitlines():
        found = _QUOTED.search(text)
        if found is not None:
            hidden = int(found[2]) not in pids
            lines.append(text[: found.start(3)] + "(another role's)" if hidden else text)
        elif not hidden:
            lines.append(text)
    return replace(line, text="\n".join(lines))


def _rank(kind: str) -> int | None:
    return rank_of("debug" if kind.startswith("DEBUG") else _KINDS.get(kind, kind))


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
