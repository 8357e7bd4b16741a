"""Reading what tools answered: rows, files and hits, or a plain word that it is not there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.fake_messages.oncall.conversation import Result

_NUMBERED = re.compile(r"^ *(\d+)(?:\t|: ?| ?\| ?)(.*)$")
_HIT = re.compile(r"^(?P<path>[\w./-]+\.\w+):(?P<line>\d+)[:-] ?(?P<text>.*)$")
#: paths below it are shorter without it
_ROOT = "/srv/app/"
_REFUSED = re.compile(
    r"too many clients already|remaining connection slots are reserved"
    r"|too many connections for role",
)


class NotEnoughError(Exception):
    """What is known does not say what to do; the message says what is missing, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A line that a search found."""

    path: str
    line: int
    text: str


def succeeded(result: Result, what: str) -> str:
    """Its text.

    Raises:
        NotEnoughError: it failed, or says nothing.
    """
    if result.is_error:
        raise NotEnoughError(f"{what} failed: {_beginning(result.text)}")
    if not result.text.strip():
        raise NotEnoughError(f"{what} told me nothing")
    return result.text


def is_refusal(text: str) -> bool:
    """Whether the database, or whoever asked it, tells that it takes no more connections."""
    return _REFUSED.search(text) is not None


def objects(result: Result, *keys: str) -> list[dict[str, Any]]:
    """The JSON objects with these keys that stand in a result, however it is laid out."""
    if result.is_error:
        return []
    return [found for found in _objects(result.text) if set(keys) <= set(found)]


def hits(result: Result) -> list[Hit]:
    """Where a search found something; none when it failed."""
    if result.is_error:
        return []
    found = (_HIT.match(line.strip()) for line in result.text.splitlines())
    return [
        Hit(path=match["path"].removeprefix(_ROOT), line=int(match["line"]), text=match["text"])
        for match in found
        if match
    ]


def whole_file(result: Result, path: str) -> str:
    """A file's text from its numbered lines.

    Raises:
        NotEnoughError: it could not be read, or not all of it is there.
    """
    text = succeeded(result, f"reading {path}")
    lines: list[str] = []
    for line in text.splitlines():
        match = _NUMBERED.match(line)
        if match and int(match[1]) == len(lines) + 1:
            lines.append(match[2])
    if not lines or "[cut before line" in text:
        raise NotEnoughError(f"I do not see all of {path}")
    return "\n".join(lines) + "\n"


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
        else:
            yield from _within(value)


def _within(value: Any) -> Iterator[dict[str, Any]]:
    """It, and those in its cells; a cell may hold JSON as text."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _within(part)
    elif isinstance(value, str) and value.startswith("{"):
        yield from _objects(value)


def _beginning(text: str) -> str:
    return " ".join(text.split())[:200] or "without a word"
