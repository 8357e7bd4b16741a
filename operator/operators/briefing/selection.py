"""What of a long past fits into a prompt: the newest whole, older ones in a line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from operators.briefing.quoting import cut, fenced, one_line

_LINE_CHARS = 160
#: of what there is for all, so much may one take
_LARGEST_SHARE = 0.6
#: of what there is for all, so much is kept for lines as long as there are some
_LINES_SHARE = 0.25
_FENCE_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing of the past."""

    #: ours, above what is quoted
    title: str
    #: to be quoted; may be empty
    text: str
    #: all that matters, for when there is no room
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What fits, newest first."""

    whole: Sequence[str] = field(default_factory=tuple)
    #: fenced; empty for none
    lines: str = ""
    left_out: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.whole


def choose(items: Iterable[Item], *, chars: int) -> Chosen:
    """Of items from the newest to the oldest, no more than so many characters.

    The newest is always there, cut if it has to be.
    """
    waiting = list(items)
    whole: list[str] = []
    left = chars
    largest = int(chars * _LARGEST_SHARE)
    while waiting:
        text = _whole(waiting[0], limit=largest)
        kept_for_lines = min(chars * _LINES_SHARE, (len(waiting) - 1) * _LINE_CHARS)
        needed = len(text) + 2  # with the empty line after it
        if whole and needed > left - kept_for_lines:
            break
        whole.append(text)
        left -= needed
        waiting.pop(0)
    lines: list[str] = []
    left -= _FENCE_CHARS
    for item in waiting:
        line = one_line(item.line, limit=_LINE_CHARS)
        if len(line) + 1 > left:
            break
        lines.append(line)
        left -= len(line) + 1
    return Chosen(
        whole=whole,
        lines=fenced("\n".join(lines)) if lines else "",
        left_out=len(waiting) - len(lines),
    )


def _whole(item: Item, *, limit: int) -> str:
    title = one_line(item.title, limit=_LINE_CHARS)
    if not item.text:
        return title
    return f"{title}\n{fenced(cut(item.text, limit=limit - len(title) - _FENCE_CHARS))}"
