"""Statements that read a whole table to find a few of its rows."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

from tests.fake_messages.oncall import queries
from tests.fake_messages.oncall.asking import Work, find, insist, read, sql
from tests.fake_messages.oncall.evidence import NotEnoughError, objects, succeeded
from tests.fake_messages.oncall.plans import Scan, explainable, is_plan, scans
from tests.fake_messages.oncall.remedy import Check, Edit, Remedy, place
from tests.fake_messages.oncall.source import Source, end_of, search_phrases, strings

#: a statement that takes less than this share of the database's time is not what is wrong
_SHARE = 0.3
#: a table with fewer rows is read faster than an index on it
_MANY_ROWS = 2_000
_LINE_CHARS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Heavy:
    """A statement, and what it cost between two looks."""

    query: str
    calls: int
    total_ms: float
    #: of all that the statements took in this time
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    table: str
    column: str
    #: statements that must come before it
    before: tuple[str, ...]
    name: str
    statement: str


def heaviest(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[Heavy]:
    """Statements by the time they took between two looks, those that matter."""
    known = {row["id"]: row for row in before}
    costs: list[Heavy] = []
    for row in after:
        was = known.get(row["id"], {"calls": 0, "total_ms": 0})
        calls, spent = row["calls"] - was["calls"], float(row["total_ms"] - was["total_ms"])
        if calls > 0 and spent > 0:
            costs.append(Heavy(query=row["query"], calls=calls, total_ms=spent, share=0))
    total = sum(cost.total_ms for cost in costs)
    shares = [
        Heavy(query=of.query, calls=of.calls, total_ms=of.total_ms, share=of.total_ms / total)
        for of in sorted(costs, key=lambda cost: -cost.total_ms)
    ]
    return [of for of in shares if of.share >= _SHARE]


def diagnose(heavy: Heavy) -> Work[Remedy]:
    """From the statement's plan to the file that makes the table.

    Raises:
        NotEnoughError: no index would help, or I do not see where it belongs.
    """
    explain = "EXPLAIN " + explainable(heavy.query)
    (result,) = yield from insist(
        f"{heavy.share:.0%} of the database's time goes into one statement"
        f" ({heavy.calls} calls, {heavy.total_ms / heavy.calls:.0f} ms each). How is it run?",
        sql(explain),
    )
    plan = succeeded(result, "EXPLAIN")
    if not is_plan(plan):
        raise NotEnoughError("EXPLAIN did not answer with a plan")
    found = scans(plan)
    if not found:
        raise NotEnoughError("the slow statement's plan reads no table from end to end")
    index = yield from _first_missing(found)
    where = yield from _where_it_is_sent(heavy.query)
    return (yield from _remedy(index, where, heavy, explain))


def _first_missing(found: list[Scan]) -> Work[_Index]:
    """The index that one of the scans lacks."""
    reasons = []
    for scan in dict.fromkeys(found):
        try:
            return (yield from _missing(scan))
        except NotEnoughError as reason:
            reasons.append(str(reason))
    raise NotEnoughError("; ".join(reasons))


def _missing(scan: Scan) -> Work[_Index]:
    (result,) = yield from insist(
        f"It reads all of {scan.table} to keep a few rows. How large is that table, and by what"
        " can rows be found?",
        sql(queries.table(scan.table)),
    )
    about = next(iter(objects(result, "table", "rows", "indexes")), None)
    if about is None:
        raise NotEnoughError(f"I cannot see what {scan.table} is like")
    if about["rows"] < _MANY_ROWS:
        raise NotEnoughError(f"{scan.table} is small: reading it whole is not what is slow")
    indexes = "\n".join(about["indexes"] or ())
    if scan.like:
        return (yield from _trigrams(scan, indexes))
    column = _most_telling(scan, about["distinct"] or {})
    if re.search(rf"\({column}\b", indexes):
        raise NotEnoughError(f"{scan.table} has an index on {column}, and it is not used")
    name = f"{scan.table}_{column}_idx"
    return _Index(
        table=scan.table,
        column=column,
        before=(),
        name=name,
        statement=f"CREATE INDEX IF NOT EXISTS {name} ON {scan.table} ({column})",
    )


def _trigrams(scan: Scan, indexes: str) -> Work[_Index]:
    """A pattern that may begin anywhere needs an index of the text's parts."""
    column = scan.like[0]
    if re.search(rf"USING gin\b.*\b{column}\b", indexes):
        raise NotEnoughError(f"{scan.table}.{column} has an index of its parts that is not used")
    (result,) = yield from insist(
        f"{column} is compared with a pattern that begins with a wildcard, which an ordinary index"
        " cannot find. Are trigrams available here?",
        sql(queries.TRIGRAMS),
        think="pg_trgm is trusted: who may create in a database may install it.",
    )
    extension = next(iter(objects(result, "extension", "may_create")), None)
    if extension is None or not (extension["installed"] or extension["may_create"]):
        raise NotEnoughError("an index of trigrams is not to be had here")
    name = f"{scan.table}_{column}_trgm_idx"
    return _Index(
        table=scan.table,
        column=column,
        before=(f"CREATE EXTENSION IF NOT EXISTS {extension['extension']}",),
        name=name,
        statement=(
            f"CREATE INDEX IF NOT EXISTS {name} ON {scan.table} USING gin ({column} gin_trgm_ops)"
        ),
    )


def _most_telling(scan: Scan, distinct: dict[str, float]) -> str:
    """Of the compared columns, the one with the most values; negative ones are fractions."""

    def values(column: str) -> float:
        known = distinct.get(column) or 0
        return -known * 1e9 if known < 0 else known

    return max(scan.equal, key=values)


def _where_it_is_sent(query: str) -> Work[str]:
    """The function that sends the statement, as file:function."""
    for phrase in search_phrases(query):
        found = yield from find("Who sends it?", phrase)
        if found:
            break
    else:
        raise NotEnoughError("I do not find the statement in the source")
    sources = yield from read("I read it.", [hit.path for hit in found])
    sending = [
        f"{source.path}:{function.name}" for source in sources for function in source.sending(query)
    ]
    if len(sending) != 1:
        raise NotEnoughError(f"{len(sending)} functions send the statement, not one")
    return sending[0]


def _remedy(index: _Index, where: str, heavy: Heavy, explain: str) -> Work[Remedy]:
    found = yield from find(
        f"{index.table} needs an index on {index.column}. Where is the table made?",
        rf"CREATE TABLE (IF NOT EXISTS )?{index.table}\b",
    )
    if len({hit.path for hit in found}) != 1:
        raise NotEnoughError(f"I do not find the one place where {index.table} is made")
    (source,) = yield from read("I read it before I change it.", [found[0].path])
    maker = source.at(found[0].line)
    edit = _edit(source, index)
    made_in = place(source.path, maker.name if maker else "")
    return Remedy(
        cause=(
            f"{where} looks rows of {index.table} up by {index.column}, and"
            f" {made_in} gives the table no index for that: each call"
            f" ({heavy.total_ms / heavy.calls:.0f} ms) reads the whole table"
        ),
        change=f"{made_in} also runs {index.statement}",
        files=(source.path,),
        functions=(made_in,),
        edits=(edit,),
        check=Check(call=sql(explain), expected=rf"\b{index.name}\b"),
    )


def _edit(source: Source, index: _Index) -> Edit:
    """The statement, put behind the one that makes the table, in the list that it stands in."""
    if index.name in source.text:
        raise NotEnoughError(f"{source.path} makes {index.name} already")
    created = re.compile(rf"CREATE TABLE (IF NOT EXISTS )?{index.table}\b")
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.List):
            continue
        for element in node.elts:
            if any(created.search(text) for text in strings(element)):
                return _behind(source, node, element, index)
    raise NotEnoughError(f"{source.path} does not keep its statements in lists")


def _behind(source: Source, around: ast.List, element: ast.expr, index: _Index) -> Edit:
    old = source.lines(element.lineno, end_of(element))
    if not old.rstrip().endswith(",") or around.lineno == element.lineno:
        raise NotEnoughError(f"I do not know how to add to the list in {source.path}")
    indent = " " * element.col_offset
    added = "".join(_literal(statement, indent) for statement in (*index.before, index.statement))
    return Edit(path=source.path, old=old, new=old + added)


def _literal(statement: str, indent: str) -> str:
    """The statement as an entry of the list: a string on one line, or on more when it is long."""
    one_line = f'{indent}"{statement}",\n'
    if len(one_line) <= _LINE_CHARS:
        return one_line
    first, last = statement.split(" ON ", 1)
    inner = f"{indent}{first}\n{indent}    ON {last}\n"
    return f'{indent}"""\n{inner}{indent}""",\n'
