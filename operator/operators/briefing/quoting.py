"""Text of others in a prompt: fenced, so that it cannot pass for ours."""

from __future__ import annotations

import re

#: what ends a line for a reader but not for `str.split("\n")`, and what a reader cannot see
_STRANGE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def fenced(text: str) -> str:
    """Between fences that are longer than any that the text itself has."""
    plain = visible(text).strip("\n")
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{plain}\n{fence}"


def one_line(text: str, *, limit: int) -> str:
    """All of it in one line, cut to so many characters."""
    words = " ".join(visible(text).split())
    return words if len(words) <= limit else f"{words[: limit - 1]}…"


def cut(text: str, *, limit: int) -> str:
    """The beginning and the end of a longer text, and how much is missing."""
    over = len(text) - limit
    if over <= 0:
        return text
    head = limit * 2 // 3
    return f"{text[:head]}\n[{over:,} characters cut]\n{text[head + over :]}"


def visible(text: str) -> str:
    """Control characters become a mark."""
    return _STRANGE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
