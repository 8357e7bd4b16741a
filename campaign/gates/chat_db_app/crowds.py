"""People in a segment of their own, told something that others are not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.people import Person, settle
from campaign.gates.finding import AppFailedError, Finding, expect

#: somebody may broadcast to everybody meanwhile; an app that is wrong is wrong undisturbed too
_TRIES = 4

_FROM_OTHERS = """
SELECT count(*) AS others FROM public.notifications
WHERE user_id = ANY ($1::bigint[]) AND title <> ALL ($2::text[])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """A segment's people, and the titles of what was sent to them."""

    app: LiveApp
    segment: str
    people: tuple[Person, ...]
    titles: list[str] = field(default_factory=list)

    async def tell(self, *, by: Person | None = None, body: str = "news") -> str:
        """Broadcast to all of them; gives the title."""
        title = words.title(self.app.draw)
        self.titles.append(title)
        sent = await (by or self.people[0]).broadcast(self.segment, title=title, body=body)
        expect("how many were sent", expected=len(self.people), actual=sent)
        return title

    async def heard_others(self) -> bool:
        """Whether any of them has a notification that is not from here."""
        ids = [person.id for person in self.people]
        return bool((await self.app.fetch(_FROM_OTHERS, ids, self.titles))[0]["others"])


Gather: TypeAlias = Callable[[int], Awaitable[Crowd]]


async def undisturbed(
    app: LiveApp, judge: Callable[[LiveApp, Gather], Awaitable[Finding]]
) -> Finding:
    """What `judge` finds, asked again with other people when somebody else wrote to its crowds.

    Raises:
        AppFailedError: as `judge` does, when nobody did, or each time.
    """
    for _ in range(_TRIES - 1):
        crowds: list[Crowd] = []
        try:
            return await judge(app, _gathering(app, crowds))
        except AppFailedError:
            if not any([await crowd.heard_others() for crowd in crowds]):
                raise
    return await judge(app, _gathering(app, []))


def _gathering(app: LiveApp, crowds: list[Crowd]) -> Gather:
    async def gather(count: int) -> Crowd:
        segment = words.segment(app.draw)
        people = await settle(app, count, segment=segment)
        crowds.append(Crowd(app=app, segment=segment, people=people))
        return crowds[-1]

    return gather
