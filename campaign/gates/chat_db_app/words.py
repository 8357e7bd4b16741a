"""What the gates' people say: other words in each audit, like anybody else's to look at."""

from __future__ import annotations

import random

_SENTENCE = (
    "the deploy finished but latency on checkout went up again so we looked at the invoice job and"
    " found a meeting note about quota limits from last week which said that the customer export"
    " runs every hour and holds its lock until the report has been written to storage"
)
_WORDS = tuple(_SENTENCE.split())
_ONSETS = (
    "b",
    "br",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "n",
    "pl",
    "st",
    "v",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io", "ou")


def sentence(draw: random.Random, *, words: int = 12) -> str:
    """Ordinary words, with no blank at either end."""
    return " ".join(draw.choices(_WORDS, k=words))


def rare_word(draw: random.Random) -> str:
    """A word that nobody has said before: twelve letters or so, in lower case."""
    syllables = (draw.choice(_ONSETS) + draw.choice(_VOWELS) for _ in range(5))
    return "".join(syllables) + draw.choice("bdgkmnprtx")


def title(draw: random.Random) -> str:
    return f"{sentence(draw, words=3)} {rare_word(draw)}"


def segment(draw: random.Random) -> str:
    """The name of a segment that nobody else is in."""
    return rare_word(draw)
