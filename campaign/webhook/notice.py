"""One notice as it is delivered: its place in the journal, its id and its body."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from campaign.machine import Campaign
from campaign.model import Event
from campaign.webhook.contents import contents
from campaign.webhook.payload import Payload

_ID_CHARS = 32


class Place(NamedTuple):
    """Where in the order of all notices; compares as such."""

    #: number of the journal's event that it follows from
    sequence: int
    #: which of that event's notices, from 1; 0: before all of them
    number: int = 0


#: before every notice
BEGINNING = Place(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Made anew from the journal it is the same, to the last byte."""

    place: Place
    #: the same for every attempt, in whatever process: receivers know by it what they had before
    id: str
    type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What makes the ids of a campaign's notices its own, whatever other campaigns are called."""

    campaign: str
    #: epoch seconds of its first event
    started_at: float

    def notices(
        self, before: Campaign | None, event: Event, after: Campaign, *, sequence: int
    ) -> tuple[Notice, ...]:
        """What an event gives to tell, in order."""
        found = contents(before, event, after, sequence=sequence)
        return tuple(
            self._notice(Place(sequence, number), payload)
            for number, payload in enumerate(found, start=1)
        )

    def _notice(self, place: Place, payload: Payload) -> Notice:
        parts = (self.campaign, repr(self.started_at), *map(str, place), payload.type)
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return Notice(
            place=place,
            id=f"msg_{digest[:_ID_CHARS]}",
            type=payload.type,
            body=payload.model_dump_json().encode(),
        )
