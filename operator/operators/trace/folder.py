"""The traces of a campaign, by their sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from operators.trace.document import Trace
from operators.trace.lines import (
    BrokenLine,
    EndLine,
    Line,
    RemarkLine,
    SessionLine,
    TraceError,
    TurnLine,
    read_lines,
    read_trace,
)

#: of a campaign's folder
TRACES = "traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFile:
    """Where one session's trace is; the lines when they are there, else the document."""

    #: such as `T003-s1`
    name: str
    path: Path

    def read(self) -> Trace:
        """Raises TraceError when it cannot be read."""
        return read_trace(self.path)

    def lines(self) -> list[Line]:
        """In the order in which things happened.

        Raises:
            TraceError: it cannot be read.
        """
        if self.path.suffix == ".json":
            return list(_lines_of(read_trace(self.path)))
        try:
            content = self.path.read_bytes()
        except OSError as problem:
            raise TraceError(f"{self.path}: {problem.strerror}") from problem
        return list(read_lines(content, name=str(self.path)))


def sessions(folder: Path) -> tuple[SessionFile, ...]:
    """All of them, by ticket and session; none when there is no such folder."""
    found = {path.stem: path for path in folder.glob("*.json")}
    found |= {path.stem: path for path in folder.glob("*.jsonl")}
    return tuple(SessionFile(name=name, path=found[name]) for name in sorted(found, key=_order))


def find_session(folder: Path, wanted: str) -> SessionFile | None:
    """By its name, by ticket and number (`T003-1`), or the last one of a ticket (`T003`)."""
    known = {session.name: session for session in sessions(folder)}
    ticket, _, number = wanted.rpartition("-")
    for name in (wanted, f"{ticket}-s{number}"):
        if name in known:
            return known[name]
    of_ticket = [session for name, session in known.items() if name.startswith(f"{wanted}-")]
    return of_ticket[-1] if of_ticket else None


def _order(name: str) -> tuple[tuple[int, str], ...]:
    """Numbers by their value: T9 is before T10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def _lines_of(trace: Trace) -> Iterator[Line]:
    """As they were written, as far as the document says."""
    started = trace.started_at or (trace.events[0].timestamp if trace.events else "")
    yield SessionLine(source=trace.source, session_id=trace.session_id, timestamp=started)
    beside: list[TurnLine | BrokenLine | RemarkLine] = [
        *(TurnLine.model_validate(turn.model_dump()) for turn in trace.turns),
        *(BrokenLine.model_validate(turn.model_dump()) for turn in trace.broken_answers),
        *(RemarkLine.model_validate(remark.model_dump()) for remark in trace.remarks),
    ]
    beside.sort(key=lambda line: line.timestamp)
    yield from _after(None, beside)
    for event in trace.events:
        yield event
        yield from _after(event.id, beside)
    if trace.ended_at is not None:
        yield EndLine(timestamp=trace.ended_at)


def _after(event: str | None, beside: list[TurnLine | BrokenLine | RemarkLine]) -> Iterator[Line]:
    yield from (line for line in beside if line.after_event == event)
