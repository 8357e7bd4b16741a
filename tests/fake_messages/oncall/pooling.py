"""A service that is refused connections: more than the database accepts are asked for."""

from __future__ import annotations

import ast
import re
from typing import Any

from tests.fake_messages.oncall import queries
from tests.fake_messages.oncall.asking import Work, ask, find, read, sql
from tests.fake_messages.oncall.conversation import Call, Result
from tests.fake_messages.oncall.evidence import NotEnoughError, objects
from tests.fake_messages.oncall.remedy import Check, Edit, Remedy, place
from tests.fake_messages.oncall.source import Source, called_name, end_of

#: for people, their tools and what the database does itself
_ELSE = 12
#: the old instance and the new one, and as much room again
_PARTS = 4
_TRIES = 4


def diagnose(first: Result) -> Work[Remedy]:
    """From how many connections there are to where the pool's bound is set.

    Raises:
        NotEnoughError: neither is to be seen.
    """
    accepted = yield from _accepted(first)
    found = yield from find("Where does the service open its connections?", r"create_pool\(")
    sources = yield from read("I read it.", [hit.path for hit in found])
    pools = [(source, call) for source in sources for call in _pools(source)]
    if len(pools) != 1:
        raise NotEnoughError(f"I find {len(pools)} places where a pool with a bound is made")
    source, call = pools[0]
    bound = (accepted - _ELSE) // _PARTS
    edit, was = _bounded(source, call, bound)
    if was <= bound:
        raise NotEnoughError(f"the pool's bound of {was} fits the database's {accepted}")
    maker = source.at(call.lineno)
    made_in = place(source.path, maker.name if maker else "")
    return Remedy(
        cause=(
            f"{made_in} lets the pool open up to {was} connections, and Postgres"
            f" accepts {accepted}: under load requests are refused one"
        ),
        change=(
            f"at most {bound} connections; both instances of a rolling deployment and people fit"
            " beside it, and requests wait for a connection instead of failing"
        ),
        files=(source.path,),
        functions=(made_in,),
        edits=(edit,),
        check=Check(call=sql(queries.CONNECTIONS), expected=r"room\W+true"),
    )


def _accepted(first: Result) -> Work[int]:
    """How many connections the database accepts; asking may need some patience."""
    result = first
    for _ in range(_TRIES):
        known: dict[str, Any] | None = next(iter(objects(result, "max_connections")), None)
        if known is not None:
            return int(known["max_connections"])
        result = yield from ask(
            "The database refuses me, too, which fits. I ask again.", sql(queries.CONNECTIONS)
        )
    return (yield from _held())


def _held() -> Work[int]:
    """Where the number of connections stood still while more were refused."""
    listed = yield from ask(
        "Every slot is taken. What do the metrics know of connections?",
        Call(tool="list_metrics", arguments={"contains": "connections"}),
    )
    names = re.findall(r"\b\w*max_connections\b", "" if listed.is_error else listed.text)
    if not names:
        raise NotEnoughError("I cannot see how many connections the database accepts")
    asked = yield from ask(
        "Its limit is a metric.",
        Call(tool="query_metrics", arguments={"query": f"max({names[0]})"}),
    )
    values = re.findall(r"(?<![\w.:-])(\d{2,5})(?:\.0+)?(?![\w.:-])", asked.text)
    if asked.is_error or not values:
        raise NotEnoughError(f"{names[0]} has no value")
    return int(values[-1])


def _pools(source: Source) -> list[ast.Call]:
    """Calls that make a pool and say how large it may become."""
    return [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and called_name(node) == "create_pool"
        and _max_size(node) is not None
    ]


def _max_size(call: ast.Call) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == "max_size"), None)


def _bounded(source: Source, call: ast.Call, bound: int) -> tuple[Edit, int]:
    """The edit, and what the bound was."""
    value = _max_size(call)
    holder: ast.stmt | ast.expr | None = value
    if isinstance(value, ast.Name):
        name = value.id
        holder = next((node for node in source.tree.body if _assigns(node, name)), None)
        value = holder.value if isinstance(holder, ast.Assign | ast.AnnAssign) else None
    if holder is None or not isinstance(value, ast.Constant) or not isinstance(value.value, int):
        raise NotEnoughError(f"I do not see which number bounds the pool in {source.path}")
    line = source.lines(holder.lineno, end_of(holder))
    old = str(source.text.splitlines()[value.lineno - 1][value.col_offset : value.end_col_offset])
    return Edit(path=source.path, old=line, new=line.replace(old, str(bound), 1)), value.value


def _assigns(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
            return target == name
    return False
