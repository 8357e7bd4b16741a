"""Which workers there are, and which has which place in the load: no clock, no network.

All times are seconds on the master's monotonic clock, given by the caller. A worker is known by
its *life*, one process; a worker that is restarted has the same name and another life.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadgen.shares import Share

if TYPE_CHECKING:
    from loadgen.messages import Report


@dataclass(kw_only=True, slots=True, eq=False)
class Member:
    """A worker that is there."""

    report: Report
    #: how Locust addresses it
    client: str
    heard_at_s: float
    #: None: it stands by, until there is a place for it
    place: int | None = None
    #: it has had a place, so that the app may have acknowledged something to it
    has_played: bool = False

    @property
    def name(self) -> str:
        return self.report.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Vacancy:
    """A place whose worker is lost; its users are the others'."""

    name: str
    metrics: str
    #: when its worker was last heard
    since_s: float


@dataclass(kw_only=True, slots=True)
class Roster:
    """All of them."""

    #: a worker that is not heard for so long is lost, seconds
    patience_s: float
    members: dict[str, Member] = field(default_factory=dict)
    #: into how many places the load in force is divided
    places: int = 0
    vacant: dict[int, Vacancy] = field(default_factory=dict)

    def hear(self, report: Report, *, client: str, at_s: float) -> bool:
        """Take in a report; True when its worker was not known."""
        member = self.members.get(report.life)
        if member is None:
            self.members[report.life] = Member(report=report, client=client, heard_at_s=at_s)
            return True
        member.report, member.client, member.heard_at_s = report, client, at_s
        return False

    def lost(self, *, at_s: float) -> dict[str, str]:
        """The lives of those that are silent for too long or were replaced, with what is known."""
        newest = {
            member.name: life
            for life, member in sorted(self.members.items(), key=lambda each: each[1].heard_at_s)
        }
        lost = {}
        for life, member in self.members.items():
            silent_s = at_s - member.heard_at_s
            if silent_s >= self.patience_s:
                lost[life] = f"was silent for {silent_s:.1f} s"
            elif newest[member.name] != life and silent_s >= self.patience_s / 4:
                lost[life] = "ended, and was started again"
        return lost

    def remove(self, life: str) -> Member:
        """It is lost; its place, if it had one, is vacant from when it was last heard."""
        member = self.members.pop(life)
        if member.place is not None:
            self.vacant[member.place] = Vacancy(
                name=member.name, metrics=member.report.metrics, since_s=member.heard_at_s
            )
        return member

    def divide(self) -> None:
        """A new load: a place for each who is there, by name."""
        self.vacant.clear()
        self.places = len(self.members)
        for place, member in enumerate(sorted(self.members.values(), key=lambda each: each.name)):
            member.place = place
            member.has_played = True

    def dissolve(self) -> None:
        """No load: nobody has a place."""
        self.vacant.clear()
        self.places = 0
        for member in self.members.values():
            member.place = None

    def fill(self) -> tuple[Member, ...]:
        """Vacant places for those who stand by and offer nothing; its own for one that is back."""
        filled = []
        for member in self.members.values():
            if not self.vacant or member.place is not None or member.report.turn != 0:
                continue
            own = (place for place, gap in self.vacant.items() if gap.name == member.name)
            place = next(own, min(self.vacant))
            del self.vacant[place]
            member.place = place
            member.has_played = True
            filled.append(member)
        return tuple(filled)

    def shares(self) -> dict[str, Share]:
        """What each life with a place plays."""
        placed = {
            life: member.place for life, member in self.members.items() if member.place is not None
        }
        present = tuple(sorted(placed.values()))
        return {
            life: Share(place=place, of=self.places, present=present)
            for life, place in placed.items()
        }

    def silent_since_s(self) -> float | None:
        """Since when a place has been vacant; None when none is."""
        return min((gap.since_s for gap in self.vacant.values()), default=None)
