"""What clients were told is stored, against what is stored. Pure: time is an argument.

Missing messages: every acknowledged message is looked up by its id once, a second after the
answer or later, and a random sample of older ones again and again. One that is not there, or is
another's or of another size, counts as missing until it is found, or is written off: damage that
is on record stays, but is not held against every later trial. Two answers that name the same
message stand for one that is missing.

Lost tokens: at a moment S a user's account must show at least what it showed at the beginning plus
the tokens of everything acknowledged by S. The account is read after S and the acknowledgements
are fetched after that, so all that matters is in. Writes whose answer was still on its way (or
timed out) make the account show *more*, which can hide a loss for that moment but never make one
up; the worst of the last few moments is taken, since a loss hidden now shows in the next second.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

#: an acknowledged write is looked up when its answer is this old, seconds
SETTLING_S = 1.0
#: moments over which the worst loss of an account is taken
_MOMENTS = 8


class Write(Protocol):
    """An acknowledged write, as the load generator reports it."""

    @property
    def message_id(self) -> int: ...
    @property
    def conversation_id(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def tokens(self) -> int: ...
    @property
    def acked_at(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What must be found under a message's id."""

    conversation_id: int
    user_id: int
    tokens: int


class LedgerBook:
    """All writes of one database that were acknowledged."""

    def __init__(self, *, seed: int, opening: Mapping[int, int]) -> None:
        """`opening`: what each account showed before the first write."""
        self._dice = random.Random(seed)  # noqa: S311 - which old ones are looked at again
        self._opening = dict(opening)
        self._expected: dict[int, Message] = {}
        self._unchecked: list[Write] = []
        self._checked: list[int] = []
        self._missing: set[int] = set()
        self._written_off: set[int] = set()
        #: when each message was first acknowledged, and answers that named one once more
        self._acked_at: dict[int, float] = {}
        self._doubles: set[tuple[int, float]] = set()
        self._writers: set[int] = set()
        #: acknowledged after the last moment at which the accounts were read
        self._recent: list[Write] = []
        self._acknowledged: defaultdict[int, int] = defaultdict(int)
        self._losses: defaultdict[int, deque[int]] = defaultdict(lambda: deque(maxlen=_MOMENTS))

    def __len__(self) -> int:
        return len(self._expected)

    @property
    def missing(self) -> int:
        """Acknowledged messages that are known not to be there, and were not written off."""
        doubled = {message_id for message_id, _ in self._doubles}
        return len((self._missing | doubled) - self._written_off)

    def write_off(self, ids: Iterable[int] | None = None) -> list[int]:
        """Count these (None: all that are missing now) no more; gives all that was written off."""
        known = self._missing | {message_id for message_id, _ in self._doubles}
        self._written_off.update(known if ids is None else ids)
        return sorted(self._written_off)

    @property
    def lost_tokens(self) -> int:
        """Over all accounts."""
        return sum(max(losses) for losses in self._losses.values())

    @property
    def users(self) -> list[int]:
        """Whose accounts can be checked: those who wrote, and whose beginning is known."""
        return sorted(self._writers & self._opening.keys())

    @property
    def unopened(self) -> list[int]:
        """Who wrote although nothing is known of how their account began."""
        return sorted(self._writers - self._opening.keys())

    def open_accounts(self, opening: Mapping[int, int]) -> None:
        """Users that were not known before."""
        for user_id, tokens in opening.items():
            self._opening.setdefault(user_id, tokens)

    def add(self, writes: Iterable[Write]) -> list[Write]:
        """Take in what was acknowledged; gives those that were not known already."""
        new = []
        for write in writes:
            if write.message_id in self._expected:
                self._once_more(write)
                continue
            self._expected[write.message_id] = Message(
                conversation_id=write.conversation_id,
                user_id=write.user_id,
                tokens=write.tokens,
            )
            self._acked_at[write.message_id] = write.acked_at
            self._unchecked.append(write)
            self._recent.append(write)
            self._writers.add(write.user_id)
            new.append(write)
        return new

    def _once_more(self, write: Write) -> None:
        """Reported twice it is one write; acknowledged twice, two, of which one was not stored."""
        double = (write.message_id, write.acked_at)
        if write.acked_at != self._acked_at[write.message_id] and double not in self._doubles:
            self._doubles.add(double)
            self._recent.append(write)

    def due(self, *, at: float, limit: int, sample: int) -> list[int]:
        """Ids to look up now; asked again, it gives what was not `found` in between.

        They are what has settled and what is missing, up to `limit` of each, and a `sample` of
        older ones.
        """
        settled = (
            write.message_id
            for write in islice(self._unchecked, limit)
            if write.acked_at <= at - SETTLING_S
        )
        missing = islice(self._missing, limit)
        again = self._dice.sample(self._checked, min(sample, len(self._checked)))
        return list(dict.fromkeys([*settled, *missing, *again]))

    def found(self, ids: Iterable[int], messages: Mapping[int, Message]) -> None:
        """What was there when `ids` were looked up."""
        looked_up = set(ids)
        for message_id in looked_up:
            if messages.get(message_id) == self._expected[message_id]:
                self._missing.discard(message_id)
            else:
                self._missing.add(message_id)
        still = [write for write in self._unchecked if write.message_id not in looked_up]
        self._checked += [w.message_id for w in self._unchecked if w.message_id in looked_up]
        self._unchecked = still

    def settle_accounts(self, usage: Mapping[int, int], *, at: float) -> None:
        """Compare accounts read right after `at` with what was acknowledged by then."""
        later = []
        for write in self._recent:
            if write.acked_at <= at:
                self._acknowledged[write.user_id] += write.tokens
            else:
                later.append(write)
        self._recent = later
        for user_id, shown in usage.items():
            if user_id in self._opening:
                due = self._opening[user_id] + self._acknowledged[user_id]
                self._losses[user_id].append(max(0, due - shown))
