"""Where every event arrives, and waits until it is in the journal and judged."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from campaign.model import Event


class CampaignOverError(Exception):
    """The campaign has ended or was stopped: nothing more is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An event, and the promise to whoever handed it in."""

    event: Event
    judged: asyncio.Future[None]

    def settle(self) -> None:
        if not self.judged.done():
            self.judged.set_result(None)

    def refuse(self, error: BaseException) -> None:
        if not self.judged.done():
            self.judged.set_exception(error)
            self.judged.exception()  # seen, also when nobody waits for it


class Inbox:
    """First come, first served; closed for good when the campaign is over."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Letter] = asyncio.Queue()
        #: what is still taken; None: everything
        self._only: tuple[type[Event], ...] | None = None

    async def hand_in(self, event: Event) -> None:
        """Returns when the event is durable and judged.

        Raises:
            CampaignOverError: it will never be.
        """
        if not self._takes(event):
            raise CampaignOverError(f"the campaign is over; {event.kind} was not recorded")
        letter = Letter(event=event, judged=asyncio.get_running_loop().create_future())
        self._queue.put_nowait(letter)
        await letter.judged

    async def next(self) -> Letter:
        return await self._queue.get()

    def close(self, *, but_for: tuple[type[Event], ...] = ()) -> None:
        """Refuse whatever comes, and what waits; `but_for` is still taken."""
        self._only = but_for
        for _ in range(self._queue.qsize()):
            letter = self._queue.get_nowait()
            if self._takes(letter.event):
                self._queue.put_nowait(letter)
            else:
                letter.refuse(CampaignOverError(f"the campaign is over at {letter.event.kind}"))

    def _takes(self, event: Event) -> bool:
        return self._only is None or isinstance(event, self._only)
