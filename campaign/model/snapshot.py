"""What is kept of the state that a trial starts in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A physical copy of the database, with the ledger of acknowledged writes."""

    #: names it for good: taken a second time under the same id, it is the first one
    id: str
    #: of the whole copy
    size_bytes: int
    #: of what no earlier snapshot of the campaign had: about what it costs on the disk
    added_bytes: int
    #: a digest of every table, index, sequence and relation size of the app's
    contents: str
    duration_s: float
