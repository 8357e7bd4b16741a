"""What the app or an operator says, so that a terminal shows it and obeys nothing in it."""

from __future__ import annotations

import re

#: what would move a terminal's cursor, colour it or turn the writing around; the app can log that
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Without what a terminal would obey."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
