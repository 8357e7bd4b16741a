"""Counters that are read, added to in Python and written back: concurrent ones get lost."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from tests.fake_messages.oncall.asking import Work, find, read
from tests.fake_messages.oncall.evidence import NotEnoughError
from tests.fake_messages.oncall.remedy import Edit
from tests.fake_messages.oncall.source import (
    Function,
    Source,
    called_name,
    normal_sql,
    search_phrases,
)

_UPDATE = re.compile(
    r"^UPDATE (?P<table>\w+) SET (?P<column>\w+) = \$(?P<value>\d+)"
    r" WHERE (?P<key>\w+) = \$(?P<id>\d+)$",
    re.IGNORECASE,
)
_SIGNS = {ast.Add: "+", ast.Sub: "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One that is added to by hand, and how the database would do it."""

    column: str
    function: str
    edit: Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A statement with what is sent along, in the order of its parameters."""

    connection: str
    sql: str
    arguments: tuple[str, ...]


def added_by_hand(statement: str, read_already: Source) -> Work[Counter | None]:
    """Whether what waits for the lock writes back what it read before."""
    if not _UPDATE.match(" ".join(statement.split())):
        return None
    sources = [read_already] if read_already.sending(statement) else []
    if not sources:
        found = yield from find("And who is waiting?", search_phrases(statement)[0])
        if not found:
            return None
        try:
            sources = yield from read("I read it.", [hit.path for hit in found])
        except NotEnoughError:
            return None
    for source in sources:
        for function in source.sending(statement):
            counter = _counter(source, function, statement)
            if counter is not None:
                return counter
    return None


def _counter(source: Source, function: Function, statement: str) -> Counter | None:
    """Read, add, write: three statements in a row."""
    for first, second, third in zip(
        function.body, function.body[1:], function.body[2:], strict=False
    ):
        added = _added(second)
        if added is None or not isinstance(first, ast.Assign):
            continue
        read_, written = _sent(first.value), _sent(third)
        if read_ is None or written is None or ast.unparse(first.targets[0]) != added.name:
            continue
        update = _UPDATE.match(written.sql)
        if update is None or normal_sql(written.sql) != normal_sql(statement):
            continue
        column, key = update["column"], update["key"]
        selected = rf"SELECT {column} FROM {update['table']} WHERE {key} = \$1"  # noqa: S608 - a pattern
        value, id_ = int(update["value"]) - 1, int(update["id"]) - 1
        if (
            not re.fullmatch(selected, read_.sql, re.IGNORECASE)
            or len(written.arguments) <= max(value, id_)
            or written.arguments[value] != added.name
            or written.arguments[id_] != read_.arguments[0]
        ):
            continue
        arguments = list(written.arguments)
        arguments[value] = added.by
        sets = f"SET {column} = {column} {added.sign} ${value + 1}"
        sql = f"UPDATE {update['table']} {sets} WHERE {key} = ${id_ + 1} RETURNING {column}"
        old = source.lines(first.lineno, third.end_lineno or third.lineno)
        new = _call(added.name, written.connection, sql, arguments, " " * first.col_offset)
        return Counter(
            column=f"{update['table']}.{column}",
            function=function.name,
            edit=Edit(path=source.path, old=old, new=new),
        )
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Added:
    name: str
    sign: str
    by: str


def _added(statement: ast.stmt) -> _Added | None:
    """`name += by`, or `name = name + by`."""
    match statement:
        case ast.AugAssign(target=ast.Name(id=name), op=op, value=by) if type(op) in _SIGNS:
            return _Added(name=name, sign=_SIGNS[type(op)], by=ast.unparse(by))
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.BinOp(left=ast.Name(id=left), op=op, right=by),
        ) if name == left and type(op) in _SIGNS:
            return _Added(name=name, sign=_SIGNS[type(op)], by=ast.unparse(by))
    return None


def _sent(node: ast.AST) -> _Sent | None:
    """`await connection.method("…", arguments)`, on its own or as a value."""
    if isinstance(node, ast.Expr):
        node = node.value
    match node:
        case ast.Await(
            value=ast.Call(
                func=ast.Attribute(value=connection),
                args=[ast.Constant(value=str(sql)), *arguments],
            ) as call
        ) if called_name(call) in {"fetchval", "execute"}:
            return _Sent(
                connection=ast.unparse(connection),
                sql=" ".join(sql.split()),
                arguments=tuple(ast.unparse(argument) for argument in arguments),
            )
    return None


def _call(name: str, connection: str, sql: str, arguments: list[str], indent: str) -> str:
    inner = "".join(f"{indent}    {argument},\n" for argument in (f'"{sql}"', *arguments))
    return f"{indent}{name} = await {connection}.fetchval(\n{inner}{indent})\n"
