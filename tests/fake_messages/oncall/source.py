"""Python source as it was read: its functions, their statements, and the SQL they send."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from tests.fake_messages.oncall.evidence import NotEnoughError

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

#: literals are parameters to the database's statistics
_LITERAL = re.compile(r"\$\d+|'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of the service."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.text)
        except SyntaxError as error:
            raise NotEnoughError(f"{self.path} is no Python I can read: {error}") from error

    @cached_property
    def functions(self) -> list[Function]:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return [node for node in ast.walk(self.tree) if isinstance(node, kinds)]

    def lines(self, first: int, last: int) -> str:
        """Lines as they stand there, counted from 1, the last included."""
        return "".join(self.text.splitlines(keepends=True)[first - 1 : last])

    def block(self, statements: Sequence[ast.stmt], *, after: int) -> str:
        """Statements with the comments before them, which begin below line `after`."""
        return self.lines(after + 1, end_of(statements[-1]))

    def at(self, line: int) -> Function | None:
        """The innermost function around a line."""
        around = [node for node in self.functions if node.lineno <= line <= end_of(node)]
        return max(around, key=lambda node: node.lineno, default=None)

    def function(self, name: str) -> Function | None:
        return next((node for node in self.functions if node.name == name), None)

    def sending(self, statement: str) -> list[Function]:
        """The functions that hold the whole of a statement."""
        wanted = normal_sql(statement)
        return [
            node
            for node in self.functions
            if any(normal_sql(text) == wanted for text in strings(node))
        ]


def end_of(node: ast.stmt | ast.expr) -> int:
    return node.end_lineno or node.lineno


def strings(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def normal_sql(statement: str) -> str:
    """A statement regardless of its layout and its literals."""
    return _LITERAL.sub("?", " ".join(statement.split())).lower()


def names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def assigned_in(node: ast.AST) -> set[str]:
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def waits(node: ast.AST) -> bool:
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return any(isinstance(part, kinds) for part in ast.walk(node))


def calls(node: ast.AST, name: str) -> bool:
    """Whether a function of this name is called within, whatever it is reached through."""
    return any(isinstance(part, ast.Call) and called_name(part) == name for part in ast.walk(node))


def called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def dedented(text: str, spaces: int) -> str:
    """The text that many columns further left."""
    return textwrap.indent(textwrap.dedent(text), " " * (_indent(text) - spaces))


def _indent(text: str) -> int:
    return min(len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip())


def search_phrases(statement: str) -> list[str]:
    """Regular expressions for a line that tells a statement from others, the best first."""
    lines = [line.strip() for line in statement.splitlines() if line.strip()]
    if len(lines) > 1:
        # What the database shows as a parameter may stand in the source as a value.
        lines.sort(key=lambda line: ("$" in line, -len(line)))
        return [escaped(line) for line in lines[:2]]
    words = statement.split()
    lengths = [length for length in (6, 4, 3) if length <= len(words)]
    return [escaped(" ".join(words[:length])) for length in lengths]


def escaped(text: str) -> str:
    """As a regular expression of any kind; `re.escape` escapes more than some understand."""
    return re.sub(r"[.^$*+?{}\[\]\\|()]", r"\\\g<0>", text)
