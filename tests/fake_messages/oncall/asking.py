"""The calls it makes, and the turns in which it makes them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from tests.fake_messages.oncall.conversation import Call, Result, Step
from tests.fake_messages.oncall.evidence import (
    Hit,
    NotEnoughError,
    hits,
    is_refusal,
    whole_file,
)
from tests.fake_messages.oncall.source import Source

T = TypeVar("T")
_TRIES = 3

#: takes turns, and comes to something in the end
Work: TypeAlias = Generator[Step, tuple[Result, ...], T]


def sql(query: str) -> Call:
    return Call(tool="sql", arguments={"query": query, "max_rows": 60})


def search(pattern: str) -> Call:
    return Call(tool="search_files", arguments={"pattern": pattern, "glob": "*.py"})


def view(path: str) -> Call:
    return Call(tool="str_replace_based_edit_tool", arguments={"command": "view", "path": path})


def replace(path: str, old: str, new: str) -> Call:
    return Call(
        tool="str_replace_based_edit_tool",
        arguments={"command": "str_replace", "path": path, "old_str": old, "new_str": new},
    )


def logs(source: str, *, lines: int, level: str | None = None) -> Call:
    arguments = {"source": source, "lines": lines, "since": "-3m"}
    return Call(tool="read_logs", arguments=arguments | ({"level": level} if level else {}))


def do(say: str, *calls: Call, think: str = "") -> Work[tuple[Result, ...]]:
    """One turn: all calls at once; their results in the same order."""
    results = yield Step(say=say, calls=calls, think=think)
    return results


def insist(say: str, *calls: Call, think: str = "") -> Work[tuple[Result, ...]]:
    """The same, once more when one fails: a service in trouble does not always answer.

    Being refused a connection is an answer.
    """
    results = yield from do(say, *calls, think=think)
    for _ in range(_TRIES - 1):
        failed = [result.text for result in results if result.is_error]
        if not failed or any(is_refusal(text) for text in failed):
            break
        results = yield from do("That failed; once more.", *calls)
    return results


def ask(say: str, call: Call, *, think: str = "") -> Work[Result]:
    """One turn with one call."""
    (result,) = yield Step(say=say, calls=(call,), think=think)
    return result


def find(say: str, pattern: str) -> Work[list[Hit]]:
    """Where the service's source has something; nothing when it has not."""
    result = yield from ask(say, search(pattern))
    return [hit for hit in hits(result) if not _is_test(hit.path)]


def read(say: str, paths: list[str]) -> Work[list[Source]]:
    """Whole files, each once.

    Raises:
        NotEnoughError: one cannot be read.
    """
    wanted = list(dict.fromkeys(paths))
    if not wanted:
        raise NotEnoughError("nothing in the source corresponds to what I see")
    results = yield from do(say, *(view(path) for path in wanted))
    return [
        Source(path=path, text=whole_file(result, path))
        for path, result in zip(wanted, results, strict=True)
    ]


def _is_test(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.startswith(("test_", "conftest")) or "/tests/" in path or path.startswith("tests/")
