"""Statements to the app's database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from operators.toolbox.answer import Answer
from operators.toolbox.bounds import one_line, plain
from operators.toolbox.instruments import Rows
from operators.toolbox.tool import Arguments, Tool, Work

_MAX_CHARS = 30_000
#: of a cell beside others, and of one that has the row to itself (a plan's line)
_MAX_CELL_CHARS = 120
_MAX_ONLY_CELL_CHARS = 2_000


class SqlArguments(Arguments):
    """One statement, and its bounds."""

    query: str = Field(
        min_length=1, max_length=100_000, description="One SQL statement of PostgreSQL's."
    )
    max_rows: int = Field(
        default=100, ge=1, le=1_000, description="The most rows to show: 1 to 1000."
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Seconds after which it is cancelled: at most 60."
    )


async def _sql(work: Work, arguments: SqlArguments) -> Answer:
    rows = await work.instruments.database.query(
        arguments.query,
        max_rows=arguments.max_rows,
        timeout_s=arguments.timeout_s,
        read_only=not work.may_change(),
    )
    return Answer(text=table(rows))


def table(rows: Rows) -> str:
    """Aligned columns; how many rows, and how long it took, on the last line."""
    columns = len(rows.columns)
    # Each column takes a character and what stands between: more rows than that are never shown,
    # and a million values are not to be put into words for nothing.
    most = _MAX_CHARS // max(1, 4 * (columns - 1)) + 1
    cells = [[_cell(value, alone=columns == 1) for value in row] for row in rows.rows[:most]]
    lines: list[str] = []
    if rows.columns:
        names = [one_line(plain(name), _MAX_CELL_CHARS) for name in rows.columns]
        widths = [
            max(len(name), *(len(row[at]) for row in cells), 0) for at, name in enumerate(names)
        ]
        rule = "-+-".join("-" * width for width in widths)
        lines = [_row(names, widths), rule, *(_row(row, widths) for row in cells)]
    shown, left = _fitting(lines)
    return "\n".join((*shown, _summary(rows, left + len(rows.rows) - len(cells))))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return " | ".join(padded).rstrip()


def _fitting(lines: list[str]) -> tuple[list[str], int]:
    budget = _MAX_CHARS
    for number, line in enumerate(lines):
        budget -= len(line) + 1
        if budget < 0:
            return lines[:number], len(lines) - number
    return lines, 0


def _summary(rows: Rows, left: int) -> str:
    count = len(rows.rows)
    told = f"({count} {'row' if count == 1 else 'rows'}"
    if left:
        told += f", the last {left} not shown: too long; choose columns, use left(…) or aggregate"
    if rows.cut:
        told += "; there are more: raise max_rows (1000 at most), aggregate or use LIMIT … OFFSET"
    return f"{told}; {rows.status}; {rows.duration_s:.3f} s)"


def _cell(value: Any, *, alone: bool) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, dict | list | tuple):
        value = json.dumps(value, default=str, ensure_ascii=False)
    limit = _MAX_ONLY_CELL_CHARS if alone else _MAX_CELL_CHARS
    return one_line(plain(str(value)[: limit + 1]), limit)


SQL = Tool(
    name="sql",
    description="""\
Run one SQL statement on the app's live database (PostgreSQL), with the rights of the app's own \
role, and see its rows as a table.
Good first looks: SELECT pid, state, wait_event_type, wait_event, now() - xact_start AS open_for, \
left(query, 80) FROM pg_stat_activity WHERE datname = current_database(), what the server is \
doing now; EXPLAIN (ANALYZE, BUFFERS) SELECT …, how a statement is run and where its time goes \
(ANALYZE really runs it); pg_stat_user_tables and pg_indexes; SHOW max_connections.
Limits: 10 s a statement if timeout_s says nothing, 60 at most; 100 rows if max_rows says \
nothing, 1000 at most; long values are cut; each call has a connection and a transaction of its \
own, so BEGIN, SET and cursors do not last. Writes are real, and no part of the source: what a \
new database needs as well belongs into the app's schema code.
Example: {"query": "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM things WHERE owner_id = 1"}
When it is cancelled for time, ask for less or look at its EXPLAIN without ANALYZE; when no \
connection can be had, that is a finding in itself: look at the metrics and logs.""",
    arguments=SqlArguments,
    run=_sql,
    needs="instruments",
)
