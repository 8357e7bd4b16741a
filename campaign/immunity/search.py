"""Which revision made an app immune to a profile: what to probe next, and what follows. Pure.

An app that was mended stays mended: under this assumption the earliest immune revision is found by
halving. Both sides of the boundary are probed, and what lies next to them too, because the
assumption may be wrong: a later change can undo an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, log2
from typing import Literal, TypeAlias

#: a probe that says nothing is made once more
_TRIES = 2


class Outcome(StrEnum):
    """What one revision did under one profile, alone, on a fresh database."""

    VIOLATED = "violated"
    IMMUNE = "immune"
    #: the harness could not tell
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One profile played on one revision."""

    profile: str
    revision: str
    outcome: Outcome
    #: what was violated, or why it is unclear
    detail: str = ""


Kind: TypeAlias = Literal[
    "conferred", "not monotone", "immune as delivered", "not immune alone", "unclear"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the probes say together."""

    kind: Kind
    #: the earliest immune one, for "conferred" and "not monotone"
    revision: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One immune trial's; `revisions` from the delivered app to the one that was immune."""

    profile: str
    #: oldest first, each another one than the one before
    revisions: tuple[str, ...]
    probes: tuple[Probe, ...] = ()

    def after(self, probe: Probe) -> Search:
        return replace(self, probes=(*self.probes, probe))

    @property
    def most_probes(self) -> int:
        """More are not made, unless some say nothing, or an immunity was lost in between."""
        count = len(self.revisions)
        return count if count <= _ENDS else min(count, 2 * _ENDS + ceil(log2(count - 1)))

    def next(self) -> str | None:
        """The revision to probe; None when there is nothing more to learn."""
        index = self._next()
        if index is None or self._is_hopeless(index):
            return None
        return self.revisions[index]

    def conclusion(self) -> Conclusion:
        """To be asked when there is no next probe."""
        index = self._next()
        if index is not None:
            reason = self._details(index)
            return Conclusion(kind="unclear", revision=self.revisions[index], detail=reason)
        last = len(self.revisions) - 1
        if self._outcome(last) is Outcome.VIOLATED:
            return Conclusion(kind="not immune alone", detail=self._details(last))
        if self._outcome(0) is Outcome.IMMUNE:
            return Conclusion(kind="immune as delivered")
        return self._conferred()

    def _next(self) -> int | None:
        """Both ends first: between them there may be no boundary at all."""
        last = len(self.revisions) - 1
        if (outcome := self._outcome(last)) is not Outcome.IMMUNE:
            return last if outcome is None else None
        if (outcome := self._outcome(0)) is not Outcome.VIOLATED:
            return 0 if outcome is None else None
        broken, immune = self._boundary()
        if immune - broken > 1:
            return (broken + immune) // 2
        beside = (index for index in (broken - 1, immune + 1) if 0 <= index <= last)
        return next((index for index in beside if self._outcome(index) is None), None)

    def _boundary(self) -> tuple[int, int]:
        """The last that is known to be broken, and the first after it that is known immune."""
        known = [self._outcome(index) for index in range(len(self.revisions))]
        broken = max(i for i, outcome in enumerate(known) if outcome is Outcome.VIOLATED)
        return broken, known.index(Outcome.IMMUNE, broken)

    def _conferred(self) -> Conclusion:
        broken, immune = self._boundary()
        odd = [self.revisions[i] for i in range(broken) if self._outcome(i) is Outcome.IMMUNE]
        if not odd:
            return Conclusion(kind="conferred", revision=self.revisions[immune])
        names = ", ".join(revision[:12] for revision in odd)
        return Conclusion(
            kind="not monotone",
            revision=self.revisions[immune],
            detail=f"after an earlier immunity ({names}) was lost again",
        )

    def _outcome(self, index: int) -> Outcome | None:
        """None: not probed, or nothing that could be told so far."""
        clear = [probe.outcome for probe in self._of(index) if probe.outcome != Outcome.UNCLEAR]
        return clear[-1] if clear else None

    def _is_hopeless(self, index: int) -> bool:
        return len(self._of(index)) >= _TRIES

    def _details(self, index: int) -> str:
        return next((probe.detail for probe in reversed(self._of(index))), "")

    def _of(self, index: int) -> list[Probe]:
        wanted = (self.profile, self.revisions[index])
        return [probe for probe in self.probes if (probe.profile, probe.revision) == wanted]


#: the oldest and the newest revision, and as many beside the boundary
_ENDS = 2
