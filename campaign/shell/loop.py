"""Journal, judge, act: the one loop of a campaign."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from campaign.machine import Campaign, Step, fold, step
from campaign.model import (
    ActionTaken,
    CampaignStarted,
    Event,
    Finished,
    Plan,
    Resumed,
    SpendNoted,
    StopRequested,
)
from campaign.ports import Ports
from campaign.shell.crew import Crew, see_through
from campaign.shell.executors import Executors
from campaign.shell.inbox import CampaignOverError, Inbox, Letter
from campaign.shell.senses import Senses

#: called after each event with the state before it, the event, and the state after it
Observer = Callable[[Campaign | None, Event, Campaign], None]

log = structlog.get_logger(__name__)

#: what a session that is interrupted has cost, and the calls that it was in the middle of
_LAST_WORDS = (SpendNoted, ActionTaken)


class Shell:
    """Plays one campaign from its journal's end to the campaign's end.

    It also is the operators' `Desk`: `record` returns when the event is durable and judged.
    """

    def __init__(self, ports: Ports, *, observers: tuple[Observer, ...] = ()) -> None:
        self._ports = ports
        self._observers = list(observers)
        self._campaign: Campaign | None = None
        self._inbox = Inbox()
        self._crew = Crew()
        self._executors = Executors(ports, self, self._crew)
        self._senses = Senses(ports, self)

    @property
    def campaign(self) -> Campaign | None:
        return self._campaign

    def now(self) -> float:
        return self._ports.clock.now()

    async def record(self, event: Event) -> None:
        """Hand an event in; returns when it is in the journal and has been judged.

        Raises:
            CampaignOverError: the campaign has ended or was stopped.
        """
        await self._inbox.hand_in(event)

    async def request_stop(self, reason: str) -> None:
        """End now; a campaign that is over already stays as it is."""
        try:
            await self.record(StopRequested(at=self.now(), reason=reason))
        except CampaignOverError:
            log.info("stop_came_late", reason=reason)

    async def run(self, plan: Plan | None) -> Campaign:
        """Start `plan`, or take up what the journal holds, and play to the end or a stop.

        Raises:
            ValueError: an empty journal, and no plan that could be played.
            PortError: the journal cannot be read or written; nothing more was done.
        """
        try:
            return await self._play(plan)
        finally:
            self._inbox.close()

    async def _play(self, plan: Plan | None) -> Campaign:
        opening = await self._opening_events(plan)
        if not opening:
            assert self._campaign is not None  # noqa: S101 - a finished journal was folded
            return self._campaign
        try:
            self._senses.start(self._crew)
            *caught_up, beginning = opening
            for event in caught_up:
                await self._judge(event)
            await self._handle(beginning)
            return await self._loop()
        finally:
            await self._wind_up()

    async def _opening_events(self, plan: Plan | None) -> list[Event]:
        """What came to pass while nobody looked, and the beginning of this life."""
        events = await self._ports.journal.read()
        self._campaign = fold(events)
        if self._campaign is None:
            if plan is None or not plan.profiles:
                raise ValueError("the journal is empty and there is no plan to start")
            return [CampaignStarted(at=self.now(), plan=plan)]
        if isinstance(self._campaign.phase, Finished):
            return []
        unfinished = await self._ports.archive.unfinished_deployments(events)
        return [*unfinished, Resumed(at=self.now())]

    async def _loop(self) -> Campaign:
        while not self._is_over():
            letter = await self._inbox.next()
            await self._answer(letter)
        assert self._campaign is not None  # noqa: S101 - _is_over looked at it
        return self._campaign

    def _is_over(self) -> bool:
        campaign = self._campaign
        return campaign is not None and (campaign.stopped or isinstance(campaign.phase, Finished))

    async def _answer(self, letter: Letter) -> None:
        """What breaks the loop breaks whoever waits for it, too."""
        try:
            await self._handle(letter.event)
        except BaseException as error:
            letter.refuse(error if isinstance(error, Exception) else CampaignOverError("ended"))
            raise
        letter.settle()

    async def _handle(self, event: Event) -> None:
        """Durable first, then judged, then acted upon."""
        taken = await self._judge(event)
        for command in taken.commands:
            self._executors.execute(command, taken.campaign)

    async def _judge(self, event: Event) -> Step:
        await self._ports.journal.append(event)
        before = self._campaign
        taken = step(before, event)
        self._campaign = taken.campaign
        self._show(before, event, taken.campaign)
        return taken

    def _show(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        """A display that fails is no reason to end a campaign: it is told nothing more."""
        for observer in tuple(self._observers):
            try:
                observer(before, event, after)
            except Exception:
                log.exception("observer_crashed")
                self._observers.remove(observer)

    async def _wind_up(self) -> None:
        """Cancel what is at work; the load is healed last, whatever interrupts."""
        self._inbox.close(but_for=_LAST_WORDS)
        hearing = asyncio.create_task(self._hear_last_words(), name="last_words")
        try:
            await self._executors.wind_up()
        finally:
            self._inbox.close()
            hearing.cancel()
            await see_through(self._heal())

    async def _hear_last_words(self) -> None:
        """Put on record what a session says while it is ended; nothing follows from it."""
        try:
            while True:
                letter = await self._inbox.next()
                try:
                    await self._judge(letter.event)
                except BaseException as error:
                    over = CampaignOverError(f"the campaign is over at {letter.event.kind}")
                    letter.refuse(error if isinstance(error, Exception) else over)
                    raise
                letter.settle()
        except Exception:  # such as a disk that is full: nobody waits for more
            log.exception("last_words_not_kept")
            self._inbox.close()

    async def _heal(self) -> None:
        try:
            await self._ports.load.apply((), load_id="stop")
        except Exception:  # there is nobody left to tell
            log.exception("heal_failed")
