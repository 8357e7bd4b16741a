"""Lists that are read in pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Which part of a list a client wants."""

    #: None: the client did not say.
    limit: int | None = None
    offset: int = 0

    def next_offset(self, found: int) -> int | None:
        """Where to go on after a page of `found` entries; None when there is no more."""
        if self.limit is None or found < self.limit:
            return None
        return self.offset + found
