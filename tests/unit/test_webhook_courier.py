"""In order, each until it is acknowledged, and never in anybody's way. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from prometheus_client import CollectorRegistry

from campaign.machine import Campaign, fold
from campaign.model import Event
from campaign.testing import MemoryJournal, play
from campaign.webhook.courier import Courier, GoneError
from campaign.webhook.metrics import WebhookMetrics
from campaign.webhook.notice import BEGINNING, Notice, Place
from campaign.webhook.patience import ACKNOWLEDGED, Answer, Failure, Patience
from campaign.webhook.payload import TYPES
from tests.runs_kit import played
from tests.shell_kit import Stage

PATIENCE = Patience(first_s=1.0, growth=2.0, longest_s=60.0, longest_wish_s=300.0)
BROKEN = Answer(failure=Failure.SERVER_ERROR, words="it answered 500")


@dataclass(slots=True)
class Pages:
    """A journal's events, in pages."""

    events: Sequence[Event]
    most: int = 0

    async def read(self, *, after: int = 0, limit: int | None = None) -> Sequence[Event]:
        await asyncio.sleep(0.001)
        page = self.events[after:] if limit is None else self.events[after : after + limit]
        self.most = max(self.most, len(page))
        return tuple(page)


@dataclass(slots=True)
class Kept:
    """A cursor that survives its courier."""

    place: Place = BEGINNING
    full: bool = False

    def read(self) -> Place:
        return self.place

    async def write(self, place: Place) -> None:
        await asyncio.sleep(0.001)
        if self.full:
            raise OSError("no space left on device")
        self.place = place


class Crash(BaseException):
    """The process ends here."""


@dataclass(slots=True, kw_only=True)
class Crashing(Kept):
    """Between an acknowledgement and its being kept."""

    at: Place

    async def write(self, place: Place) -> None:
        if place == self.at:
            raise Crash
        self.place = place


@dataclass(slots=True)
class Receiver:
    """Acknowledges what its script does not answer otherwise."""

    #: by the number of the attempt, from 0
    answers: Callable[[int], Answer] = lambda _: ACKNOWLEDGED
    takes_s: float = 0.0
    #: all attempts, with their times
    asked: list[tuple[float, Notice]] = field(default_factory=list)
    taken: list[Notice] = field(default_factory=list)

    async def __call__(self, notice: Notice) -> Answer:
        number = len(self.asked)
        self.asked.append((asyncio.get_running_loop().time(), notice))
        await asyncio.sleep(self.takes_s)
        answer = self.answers(number)
        if answer.failure is None:
            self.taken.append(notice)
        return answer

    @property
    def waits(self) -> list[float]:
        times = [at for at, _ in self.asked]
        return [later - earlier for earlier, later in pairwise(times)]


@dataclass(slots=True, kw_only=True)
class Round:
    """One process's courier over what all of them share."""

    pages: Pages
    cursor: Kept = field(default_factory=Kept)
    receiver: Receiver = field(default_factory=Receiver)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    courier: Courier = field(init=False)

    def __post_init__(self) -> None:
        self.courier = Courier(
            pages=self.pages,
            cursor=self.cursor,
            post=self.receiver,
            metrics=WebhookMetrics(self.registry),
            patience=PATIENCE,
        )

    async def to_the_end(self) -> None:
        await self.courier.catch_up()
        self.courier.end()
        await self.courier.run()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def all_of(events: Sequence[Event]) -> list[Notice]:
    """What a receiver that is always there gets."""
    one = Round(pages=Pages(events))
    play(one.to_the_end())
    return one.receiver.taken


EVENTS = played(3)
ALL = all_of(EVENTS)


def test_everything_is_delivered_in_order() -> None:
    assert [notice.type for notice in ALL] == list(TYPES) * 3
    assert [notice.place for notice in ALL] == sorted(notice.place for notice in ALL)


def test_the_journal_is_read_in_pages() -> None:
    one = Round(pages=Pages(EVENTS))
    play(one.to_the_end())
    assert len(EVENTS) > 100
    assert one.pages.most == 50


def test_what_fails_is_tried_again_before_anything_else() -> None:
    one = Round(pages=Pages(EVENTS), receiver=Receiver(lambda n: BROKEN if n < 5 else ACKNOWLEDGED))
    play(one.to_the_end())
    assert {notice.id for _, notice in one.receiver.asked[:6]} == {ALL[0].id}
    assert one.receiver.taken == ALL


def test_waits_grow_while_it_fails() -> None:
    one = Round(pages=Pages(EVENTS), receiver=Receiver(lambda n: BROKEN if n < 8 else ACKNOWLEDGED))

    async def work() -> None:
        await one.courier.catch_up()
        running = asyncio.create_task(one.courier.run())
        await _until(lambda: len(one.receiver.asked) > 9)
        running.cancel()

    play(work())
    for wait, longest in zip(one.receiver.waits, (1, 2, 4, 8, 16, 32, 60, 60), strict=False):
        assert longest / 2 <= wait <= longest + 0.1


def test_a_wish_for_a_pause_is_kept() -> None:
    throttled = Answer(failure=Failure.THROTTLED, words="it answered 429", retry_after_s=90.0)
    one = Round(pages=Pages(EVENTS), receiver=Receiver(lambda n: ACKNOWLEDGED if n else throttled))
    play(one.to_the_end())
    assert one.receiver.waits[0] >= 90.0
    assert one.receiver.taken == ALL


def test_a_crash_at_any_place_loses_nothing_and_repeats_no_more_than_one() -> None:
    """Between the acknowledgement and the cursor, too: that one comes twice, by the same id."""
    for crashing_at in ALL:
        receiver, cursor = Receiver(), Crashing(at=crashing_at.place)
        with pytest.raises(Crash):
            play(Round(pages=Pages(EVENTS), cursor=cursor, receiver=receiver).to_the_end())
        again = Kept(cursor.place)
        play(Round(pages=Pages(EVENTS), cursor=again, receiver=receiver).to_the_end())
        number = ALL.index(crashing_at)
        assert receiver.taken == [*ALL[: number + 1], *ALL[number:]]


def test_a_second_process_delivers_nothing_that_was_acknowledged() -> None:
    first = Round(pages=Pages(EVENTS))
    play(first.to_the_end())
    second = Round(pages=Pages(EVENTS), cursor=first.cursor)
    play(second.to_the_end())
    assert second.receiver.asked == []
    assert second.value("ratchet_webhook_backlog") == 0


def test_what_an_earlier_process_left_is_counted_before_anything_is_sent() -> None:
    one = Round(pages=Pages(EVENTS), cursor=Kept(ALL[4].place))
    play(one.courier.catch_up())
    assert one.courier.left.count == len(ALL) - 5
    assert one.value("ratchet_webhook_backlog") == len(ALL) - 5


def test_a_cursor_beyond_the_journals_end_belongs_to_another_journal() -> None:
    one = Round(pages=Pages(EVENTS), cursor=Kept(Place(len(EVENTS) + 1, 1)))
    play(one.to_the_end())
    assert one.receiver.taken == ALL


def test_a_cursor_that_cannot_be_written_holds_nothing_up() -> None:
    one = Round(pages=Pages(EVENTS), cursor=Kept(full=True))
    play(one.to_the_end())
    assert one.receiver.taken == ALL


def test_a_receiver_that_wants_no_more_gets_no_more() -> None:
    gone = Answer(failure=Failure.GONE, words="it answered 410")
    one = Round(pages=Pages(EVENTS), receiver=Receiver(lambda n: gone if n == 2 else ACKNOWLEDGED))
    with pytest.raises(GoneError):
        play(one.to_the_end())
    assert len(one.receiver.asked) == 3
    assert (one.courier.left.count, one.courier.left.words) == (len(ALL) - 2, "it answered 410")
    assert one.cursor.place == ALL[1].place


def test_deliveries_failures_and_the_backlog_are_counted() -> None:
    one = Round(pages=Pages(EVENTS), receiver=Receiver(lambda n: BROKEN if n < 2 else ACKNOWLEDGED))
    play(one.to_the_end())
    assert one.value("ratchet_webhook_deliveries_total", type="ticket.opened") == 3
    assert one.value("ratchet_webhook_failures_total", reason="server_error") == 2
    assert one.value("ratchet_webhook_failures_total", reason="timeout") == 0
    assert one.value("ratchet_webhook_backlog") == 0


# -- beside a campaign that is played ---------------------------------------------------------


async def _until(met: Callable[[], bool]) -> None:
    while not met():  # noqa: ASYNC110 - virtual time costs nothing
        await asyncio.sleep(0.05)


@dataclass(slots=True, kw_only=True)
class Concert:
    """A campaign, and a courier beside it."""

    receiver: Receiver
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    left: int = -1
    backlogs: list[int] = field(default_factory=list)

    async def run(self, *, grace_s: float = 10.0) -> Campaign:
        one = Round(pages=Pages(self.journal.events), receiver=self.receiver)
        await one.courier.catch_up()
        stage = Stage(journal=self.journal, observers=(one.courier.observe, self._note(one)))
        work = asyncio.create_task(one.courier.run())
        campaign = await stage.run()
        one.courier.end()
        await asyncio.wait({work}, timeout=grace_s)
        self.left = one.courier.left.count
        work.cancel()
        return campaign

    def _note(self, one: Round) -> Callable[[Campaign | None, Event, Campaign], None]:
        return lambda *_: self.backlogs.append(one.courier.left.count)


def test_notices_go_out_while_the_campaign_is_played() -> None:
    concert = Concert(receiver=Receiver())
    campaign = play(concert.run())
    assert [notice.type for notice in concert.receiver.taken] == list(TYPES) * 2
    assert concert.left == 0
    first = concert.receiver.asked[0][0]
    opened = campaign.done[0].ticket
    assert opened is not None
    assert first - opened.opened_at < 1.0


@pytest.mark.parametrize(
    "receiver",
    [Receiver(takes_s=10_000.0), Receiver(lambda _: BROKEN, takes_s=15.0)],
    ids=["hangs", "fails slowly"],
)
def test_a_receiver_that_is_slow_or_dead_changes_nothing_of_the_campaign(
    receiver: Receiver,
) -> None:
    prompt, concert = Concert(receiver=Receiver()), Concert(receiver=receiver)
    play(prompt.run())
    play(concert.run())
    assert concert.journal.events == prompt.journal.events
    assert prompt.left == 0
    assert concert.left == len(TYPES) * 2
    assert max(concert.backlogs) == len(TYPES) * 2


def test_at_the_end_a_long_pause_is_cut_short_and_what_is_left_is_tried() -> None:
    """The receiver is back in the last moment, when the next attempt would be a minute away."""
    concert = Concert(receiver=Receiver())

    def answers(_attempt: int) -> Answer:
        campaign = fold(concert.journal.events)
        is_over = campaign is not None and campaign.phase.kind == "finished"
        return ACKNOWLEDGED if is_over else BROKEN

    concert.receiver.answers = answers
    play(concert.run())
    assert concert.left == 0
    assert [notice.type for notice in concert.receiver.taken] == list(TYPES) * 2


def test_a_pause_that_the_receiver_asked_for_is_not_cut_short() -> None:
    wish = Answer(failure=Failure.THROTTLED, words="it answered 429", retry_after_s=1e6)
    concert = Concert(receiver=Receiver(lambda _: wish))
    campaign = play(concert.run())
    assert all(wait >= 300.0 for wait in concert.receiver.waits)
    assert len(concert.receiver.asked) <= 1 + (campaign.at - campaign.done[0].started_at) / 300
    assert concert.left == len(TYPES) * 2
