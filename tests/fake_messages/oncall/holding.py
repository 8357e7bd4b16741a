"""Transactions that wait for something else while they hold rows, and counters added by hand."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.fake_messages.oncall import counters, queries
from tests.fake_messages.oncall.asking import Work, find, read, sql
from tests.fake_messages.oncall.evidence import NotEnoughError
from tests.fake_messages.oncall.remedy import Check, Edit, Remedy
from tests.fake_messages.oncall.source import (
    Function,
    Source,
    assigned_in,
    called_name,
    calls,
    dedented,
    names_in,
    search_phrases,
    waits,
)

#: callers of callers of the function that sent the statement
_LEVELS = 3
#: fewer idle sessions than this are between two statements
_MANY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the holders did last, and what those behind them are waiting to do."""

    #: the last statement of a transaction that does nothing, the most frequent first
    last: tuple[str, ...]
    #: statements that wait for a lock
    waiting: tuple[str, ...]
    sessions: int
    blocked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A function in which a transaction is kept waiting."""

    source: Source
    function: Function
    edit: Edit
    waits_for: str


def seen(rows: list[dict[str, Any]], *, looks: int) -> Held | None:
    """Transactions that idle while others wait for them, or many that just idle."""
    idle = [row for row in rows if row["state"] == "idle in transaction"]
    waiting = [row for row in rows if row["waits_for"] == "Lock"]
    blocking = [row for row in idle if row["blocks"]]
    blocked = sum(row["sessions"] for row in waiting) // looks
    sessions = sum(row["sessions"] for row in idle) // looks
    queue = blocked >= _MANY and bool(blocking)
    if not queue and sessions < _MANY:
        return None
    return Held(
        last=_most([(row["query"], row["blocks"] + row["sessions"]) for row in idle]),
        waiting=_most([(row["query"], row["sessions"]) for row in waiting]),
        sessions=sessions,
        blocked=blocked,
    )


def _most(weights: list[tuple[str, int]]) -> tuple[str, ...]:
    """The heaviest first."""
    total: Counter[str] = Counter()
    for of, weight in weights:
        total[of] += weight
    return tuple(of for of, _ in total.most_common())


def diagnose(held: Held) -> Work[Remedy]:
    """From the last statement of a holder to what it does instead of committing.

    Raises:
        NotEnoughError: nothing in the source keeps the transaction waiting.
    """
    reasons = []
    for statement in held.last[:_MANY]:
        try:
            place = yield from _place(statement)
            break
        except NotEnoughError as reason:
            reasons.append(str(reason))
    else:
        raise NotEnoughError("; ".join(reasons))
    edits, counted, added = [place.edit], "", ""
    where = f"{place.source.path}:{place.function.name}"
    files, functions = [place.source.path], [where]
    for statement in held.waiting[:_MANY]:
        counter = yield from counters.added_by_hand(statement, place.source)
        if counter is not None:
            edits.append(counter.edit)
            files.append(counter.edit.path)
            functions.append(f"{counter.edit.path}:{counter.function}")
            counted = (
                f"; {counter.edit.path}:{counter.function} reads {counter.column}, adds in Python"
                " and writes it back, so that concurrent ones overwrite each other"
            )
            added = f", and the database adds to {counter.column}"
            break
    return Remedy(
        cause=(
            f"{where} waits for {place.waits_for} inside a"
            f" transaction that holds row locks ({held.sessions} sessions idle in a transaction,"
            f" {held.blocked} wait for a lock){counted}"
        ),
        change=f"{place.function.name} waits for {place.waits_for} without holding anything{added}",
        files=tuple(dict.fromkeys(files)),
        functions=tuple(dict.fromkeys(functions)),
        edits=tuple(edits),
        check=Check(call=sql(queries.HOLDING), expected=r"holding\W+false"),
    )


def _place(statement: str) -> Work[_Place]:
    source, function = yield from _sender(statement)
    for _ in range(_LEVELS):
        called = function.name
        found = yield from find(
            f"{source.path}:{called} is the last that such a transaction did. Who calls it, and"
            " what comes next?",
            rf"\b{called}\(",
        )
        sources = yield from read("I read the callers.", [hit.path for hit in found])
        callers = [
            (of, node)
            for of in sources
            for node in of.functions
            if node.name != called and calls(node, called)
        ]
        for of, node in callers:
            place = _waiting_in(of, node, called)
            if place is not None:
                return place
        if not callers:
            break
        source, function = next(
            ((of, node) for of, node in callers if _takes_connection(node)), callers[0]
        )
    raise NotEnoughError("I do not see what the idle transactions are waiting for")


def _sender(statement: str) -> Work[Any]:
    for phrase in search_phrases(statement):
        found = yield from find("Which function leaves its transaction waiting?", phrase)
        if not found:
            continue
        sources = yield from read("I read it.", [hit.path for hit in found])
        sending = [(of, node) for of in sources for node in of.sending(statement)]
        if len(sending) == 1:
            return sending[0]
    raise NotEnoughError("I do not find the one function that sends the holders' last statement")


def _takes_connection(node: Function) -> bool:
    return _connection(node) is not None


def _connection(node: Function) -> str | None:
    """Its argument that is a connection, by annotation."""
    for argument in node.args.args:
        if argument.annotation is not None and ast.unparse(argument.annotation).endswith(
            "Connection"
        ):
            return argument.arg
    return None


def _waiting_in(source: Source, node: Function, called: str) -> _Place | None:
    """Whether something else is waited for after the call, and before the end of the hold."""
    given = _connection(node)
    if given is not None:
        return _hoisted(source, node, given, called)
    for block in ast.walk(node):
        if isinstance(block, ast.AsyncWith) and calls(block, called) and _transaction(block):
            return _split(source, node, block)
    return None


def _transaction(block: ast.AsyncWith) -> bool:
    return any(calls(item.context_expr, "transaction") for item in block.items)


def _hoisted(source: Source, node: Function, connection: str, called: str) -> _Place | None:
    """The caller holds the transaction: what needs no connection is waited for before all else."""
    body = node.body
    first = next((at for at, of in enumerate(body) if connection in names_in(of)), None)
    last = next((at for at, of in enumerate(body) if calls(of, called)), None)
    if first is None or last is None:
        return None
    for at in range(last + 1, len(body)):
        foreign = body[at]
        if connection in names_in(foreign) or not waits(foreign):
            continue
        above = body[first:at]
        if names_in(foreign) & set().union(*(assigned_in(of) for of in above)):
            continue
        before = body[first - 1].end_lineno or 0 if first else node.lineno
        start = max(before, above[0].lineno - 1)
        held = source.block(above, after=start)
        moved = source.block([foreign], after=above[-1].end_lineno or 0)
        edit = Edit(path=source.path, old=held + moved, new=moved + held)
        return _Place(source=source, function=node, edit=edit, waits_for=_awaited(foreign))
    return None


def _split(source: Source, node: Function, block: ast.AsyncWith) -> _Place | None:
    """It holds the transaction itself: a shorter one for each part that needs a connection."""
    given = {
        part.id
        for item in block.items
        if item.optional_vars is not None
        for part in ast.walk(item.optional_vars)
        if isinstance(part, ast.Name)
    }
    foreign = [of for of in block.body if not given & names_in(of) and waits(of)]
    if not foreign or not given:
        return None
    header_end = block.body[0].lineno - 1
    header = source.lines(block.lineno, header_end)
    new, after, open_ = "", header_end, False
    for statement in block.body:
        text = source.block([statement], after=after)
        after = statement.end_lineno or after
        if given & names_in(statement):
            new += text if open_ else header + text
            open_ = True
        else:
            new += dedented(text, block.body[0].col_offset - block.col_offset)
            open_ = False
    old = source.lines(block.lineno, after)
    edit = Edit(path=source.path, old=old, new=new)
    return _Place(source=source, function=node, edit=edit, waits_for=_awaited(foreign[0]))


def _awaited(statement: ast.stmt) -> str:
    """What is waited for, as the source calls it."""
    for part in ast.walk(statement):
        if isinstance(part, ast.AsyncFor) and isinstance(part.iter, ast.Call):
            return called_name(part.iter)
        if isinstance(part, ast.Await) and isinstance(part.value, ast.Call):
            return called_name(part.value)
    return "something"
