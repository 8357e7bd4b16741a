"""The logs that operators read: the app's output, and what the database says of its role."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from operators import ToolError
from operators.toolbox.instruments import LogQuery

from campaign.adapters.instruments.database_log import LogEntry, entries_of
from campaign.adapters.instruments.log_lines import facts_of, rank_of
from campaign.adapters.instruments.one_thread import OneThread
from campaign.adapters.instruments.tail import newest_lines

#: looked through from the end, whatever is asked for
SEARCHED_BYTES = 16 << 20
MOST_LINES = 2000
#: of all lines of one answer
_MOST_CHARS = 256 << 10
_LONGEST_ENTRY = 8000
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")


class LogFiles:
    """Implements `operators.toolbox.instruments.Logs`; a file that is not there is empty."""

    def __init__(self, *, app_log: Path, database_log: Path, role: str) -> None:
        """`role`: the app's in the database; what others did there is not shown."""
        self._app_log = app_log
        self._database_log = database_log
        self._role = role
        #: a read costs processor time and memory: many at once would be felt elsewhere
        self._aside = OneThread("read-logs")

    async def read(self, query: LogQuery) -> Sequence[str]:
        """Oldest first. A line without a time has that of the next line before that has one.

        Raises:
            ToolError: the question makes no sense.
        """
        if not 1 <= query.lines <= MOST_LINES:
            raise ToolError(f"lines is between 1 and {MOST_LINES}")
        return await self._aside.run(functools.partial(self._read, query))

    def _read(self, query: LogQuery) -> list[str]:
        entries = self._database() if query.source == "database" else self._app(query)
        found: list[str] = []
        chars = 0
        for entry in _wanted(entries, query):
            text = _shown(entry)
            chars += len(text)
            if chars > _MOST_CHARS:
                found.append("[earlier lines are not shown: ask for fewer, or filter]")
                break
            found.append(text)
            if len(found) == query.lines:
                break
        return found[::-1]

    def _app(self, query: LogQuery) -> Iterator[LogEntry]:
        lines = self._lines(self._app_log)
        if query.since is None and query.until is None and query.contains:
            # Most lines need no closer look.
            lines = (line for line in lines if query.contains in line)
        return (LogEntry(text=line, facts=facts_of(line)) for line in lines)

    def _database(self) -> Iterator[LogEntry]:
        return entries_of(self._lines(self._database_log), role=self._role)

    @staticmethod
    def _lines(file: Path) -> Iterator[str]:
        files = (file, file.with_name(f"{file.name}.1"))
        for line in newest_lines(files, max_bytes=SEARCHED_BYTES):
            yield line.decode(errors="replace")


def _wanted(entries: Iterable[LogEntry], query: LogQuery) -> Iterator[str]:
    """Newest first, like `entries`: lines wait for the time of an earlier one."""
    rank = None if query.level is None else rank_of(query.level)
    waiting: list[str] = []
    for entry in entries:
        told = entry.facts.rank
        matches = (rank is None or told is None or told >= rank) and (
            not query.contains or query.contains in entry.text
        )
        if query.since is None and query.until is None:
            if matches:
                yield entry.text
            continue
        if matches:
            waiting.append(entry.text)
        if entry.facts.at is None:
            continue
        if (query.since is None or entry.facts.at >= query.since) and (
            query.until is None or entry.facts.at <= query.until
        ):
            yield from waiting
        waiting.clear()


def _shown(text: str) -> str:
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= _LONGEST_ENTRY else f"{text[:_LONGEST_ENTRY]}… (cut)"
