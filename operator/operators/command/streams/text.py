"""`text`: an agent that tells nothing of itself; its words are kept."""

from __future__ import annotations

from collections.abc import Sequence

from operators.command.records import Record, Said


def text_line(line: str) -> Sequence[Record]:
    return (Said(text=f"{line}\n", piece=True),)
