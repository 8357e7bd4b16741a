"""Text of an exact length, the same for the same roll."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgen.dice import Roll

#: How chat-db-app counts: one token per four characters, and at least one.
CHARS_PER_TOKEN = 4

_SENTENCE = (
    "the deploy finished but latency on checkout went up again so we looked at the invoice job "
    "and found a meeting note about quota limits from last week which said that the customer "
    "export runs every hour and holds its lock until the report has been written to storage "
)


def token_count(content: str) -> int:
    return max(1, len(content) // CHARS_PER_TOKEN)


def text(roll: Roll, *, chars: int, part: int) -> str:
    """Exactly `chars` characters, with no blank at either end (an app may strip blanks)."""
    words = _SENTENCE.split()
    start = roll.below(len(words), part=part)
    rotated = " ".join(words[start:] + words[:start]) + " "
    repeated = rotated * (chars // len(rotated) + 1)
    return repeated[: chars - 1] + "."
