"""What became of workers, for the controller: lost, or back."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Literal

#: more than a campaign's; older ones are forgotten
_KEPT = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One worker that was lost, or that joined after the first load."""

    #: counts the changes of one master process, from 1
    seq: int
    #: epoch seconds
    at: float
    worker: str
    kind: Literal["lost", "joined"]
    #: for people
    reason: str
    #: of a loss: others play its users, and every write it acknowledged is known
    covered: bool


class Changes:
    """The latest of them."""

    def __init__(self) -> None:
        self._kept: deque[Change] = deque(maxlen=_KEPT)
        self._numbers = count(1)

    def add(
        self,
        *,
        at: float,
        worker: str,
        kind: Literal["lost", "joined"],
        reason: str,
        covered: bool = True,
    ) -> None:
        seq = next(self._numbers)
        self._kept.append(
            Change(seq=seq, at=at, worker=worker, kind=kind, reason=reason, covered=covered)
        )

    def after(self, seq: int) -> list[dict[str, Any]]:
        """Those with a number above `seq`, oldest first."""
        return [asdict(change) for change in self._kept if change.seq > seq]
