"""The client's memory of what the app acknowledged, so that losses can be proven."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

#: Entries kept when nobody fetches them: about 60 MB. The oldest go first, and are counted.
DEFAULT_CAPACITY = 200_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """A message the app said it had stored."""

    user_id: int
    conversation_id: int
    message_id: int
    #: tokens by which this message must have raised its user's usage
    tokens: int
    kind: Literal["message", "stream"]
    #: seconds since the epoch at which it was sent
    asked_at: float
    #: seconds since the epoch at which the whole answer had arrived
    acked_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Entries after a sequence number, oldest first."""

    entries: tuple[dict[str, Any], ...]
    #: the number to ask `after` next time: that of the last entry of this page
    last: int
    #: entries that were lost since the start because nobody fetched them in time
    dropped: int


class UnknownSequenceError(Exception):
    """The reader is ahead of the ledger: it still counts for a load generator that has ended."""

    def __init__(self, *, after: int, newest: int) -> None:
        super().__init__(
            f"after={after} is beyond the newest entry {newest}: "
            "this load generator was restarted, begin again with after=0",
        )


class Ledger:
    """An append-only list with sequence numbers from 1; fetched entries are forgotten."""

    def __init__(self, *, capacity: int = DEFAULT_CAPACITY) -> None:
        self._writes: deque[Write] = deque()
        self._capacity = capacity
        self._first_seq = 1
        self._dropped = 0

    def record(self, write: Write) -> None:
        self._writes.append(write)
        if len(self._writes) > self._capacity:
            self._forget(1)
            self._dropped += 1

    def drop(self, count: int) -> None:
        """So many were lost before they came here."""
        self._dropped += count

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return self._first_seq + len(self._writes) - 1

    def page(self, *, after: int, limit: int) -> Page:
        """At most `limit` entries with a number above `after`.

        Asking for what comes after a number acknowledges everything up to it, which is then
        dropped; asking the same again gives the same entries. Raises UnknownSequenceError for a
        number that was never given out, and then drops nothing.
        """
        newest = self.newest
        if after > newest:
            raise UnknownSequenceError(after=after, newest=newest)
        self._forget(max(0, after - self._first_seq + 1))
        entries = tuple(
            {"seq": self._first_seq + offset, **asdict(write)}
            for offset, write in enumerate(islice(self._writes, limit))
        )
        last = entries[-1]["seq"] if entries else self._first_seq - 1
        return Page(entries=entries, last=last, dropped=self._dropped)

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._writes.popleft()
        self._first_seq += count
