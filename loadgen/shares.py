"""Which simulated users each worker plays: arithmetic only, so that every side comes to the same.

A load is divided into as many places as there were workers when it was told; user number u of a
dimension belongs to one place, whatever the rates. A place whose worker is lost stays, and its
users go round among those who are there: nobody else's users move, and each user is somebody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one worker plays of any dimension."""

    #: its place, from 0
    place: int
    #: into how many places the load is divided
    of: int
    #: the places whose worker is there, ascending; `place` is one of them
    present: tuple[int, ...]

    def __post_init__(self) -> None:
        in_order = tuple(sorted(set(self.present)))
        if self.present != in_order or not all(0 <= each < self.of for each in self.present):
            raise ValueError(f"present must be ascending places of {self.of}: {self.present}")
        if self.place not in self.present:
            raise ValueError(f"place {self.place} is none of those present: {self.present}")

    @property
    def parts(self) -> int:
        """Among how many workers the load is divided."""
        return len(self.present)

    def numbers(self, *, key: str, users: int) -> tuple[int, ...]:
        """The users, by number from 0, that this worker plays of the dimension `key`.

        Over all places that are present each of the `users` numbers is given exactly once, and in
        an undisturbed division no worker gets more than one user more than another.
        """
        first = crc32(key.encode())  # so that not always the same place gets the odd user
        return tuple(user for user in range(users) if self._owner(first + user) == self.place)

    def _owner(self, number: int) -> int:
        place = number % self.of
        if place in self.present:
            return place
        return self.present[number // self.of % len(self.present)]


#: of a load generator that is alone
WHOLE = Share(place=0, of=1, present=(0,))
