"""The chain of hashes: each event carries the hash of the one before.

An event's hash is the SHA-256, in hex, of the UTF-8 bytes of this JSON array, without spaces and
with every non-ASCII character escaped (Python's `json.dumps(…, separators=(",", ":"))`):

    [seq, kind, at, trial, payload, previous_hash]

`at` is a float in its shortest form that reads back equal (1.0, not 1), `trial` null for an event
of no trial, `payload` is the stored text itself, as a string. The first event's `previous_hash` is
64 zeros.

Known trade-off (accepted): whoever can write to the database can cut events off its end, or compute
all hashes anew. The chain shows accidents and careless edits; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from campaign.adapters.journal.codec import encode
from campaign.adapters.journal.errors import BrokenChainError
from campaign.model import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last event written: what the next one is chained to."""

    seq: int
    hash: str


GENESIS = Head(seq=0, hash="0" * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of the table of events."""

    seq: int
    kind: str
    #: epoch seconds
    at: float
    trial: int | None
    #: JSON text (see `codec`)
    payload: str
    previous_hash: str
    hash: str

    @property
    def head(self) -> Head:
        return Head(seq=self.seq, hash=self.hash)

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def link(head: Head, event: Event) -> Record:
    """The row that records `event` after `head`."""
    fields: dict[str, Any] = {
        "seq": head.seq + 1,
        "kind": event.kind,
        "at": float(event.at),
        "trial": getattr(event, "trial", None),
        "payload": encode(event),
        "previous_hash": head.hash,
    }
    return Record(**fields, hash=_digest(**fields))


def verify(head: Head, record: Record) -> Head:
    """Check that `record` is the unchanged event after `head`; returns the new head.

    Raises:
        BrokenChainError: it is not.
    """
    if record.seq != head.seq + 1:
        raise BrokenChainError(head.seq + 1, "is missing")
    if record.previous_hash != head.hash:
        raise BrokenChainError(record.seq, "is not chained to the one before it")
    fields = record.as_row()
    if fields.pop("hash") != _digest(**fields):
        raise BrokenChainError(record.seq, "does not match its hash")
    return record.head


def _digest(  # noqa: PLR0917 - the order is the documented encoding's
    seq: int, kind: str, at: float, trial: int | None, payload: str, previous_hash: str
) -> str:
    content = [seq, kind, at, trial, payload, previous_hash]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
