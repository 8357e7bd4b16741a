"""Who is gone and who is back, as it is judged from what each component answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from campaign.stack.compose.watch import (
    PATIENCE_S,
    Alive,
    Look,
    Refused,
    Seen,
    Silent,
    Watch,
    judge,
)
from campaign.stack.interface import ComponentDown, ComponentEvent, ComponentUp

HERE = Alive(started_at=1_000.0)
GONE = Refused(reason="is not there")
MUTE = Silent(reason="does not answer")


def events_of(looks: Iterable[tuple[float, Look]]) -> list[ComponentEvent]:
    """All that is told of one component that is looked at so."""
    seen, told = Seen(name="postgres"), list[ComponentEvent]()
    for at, look in looks:
        judged = judge(seen, look, at=at)
        seen = judged.seen
        told += judged.events
    return told


def test_one_that_answers_is_not_worth_a_word() -> None:
    assert events_of([(0.0, HERE), (1.0, HERE), (2.0, HERE)]) == []


def test_two_refusals_are_an_end_and_the_next_answer_a_return() -> None:
    told = events_of([(0.0, HERE), (1.0, GONE), (2.0, GONE), (3.0, GONE), (4.0, HERE), (5.0, HERE)])
    assert told == [
        ComponentDown(name="postgres", reason="is not there"),
        ComponentUp(name="postgres"),
    ]


def test_a_single_refusal_is_forgiven() -> None:
    assert events_of([(0.0, HERE), (1.0, GONE), (2.0, HERE), (3.0, GONE), (4.0, HERE)]) == []


def test_another_start_is_an_end_and_a_return_though_nobody_saw_it_gone() -> None:
    told = events_of([(0.0, HERE), (1.0, Alive(started_at=1_060.0))])
    assert told == [
        ComponentDown(name="postgres", reason="ended, and was started again"),
        ComponentUp(name="postgres"),
    ]


def test_one_that_ends_right_after_its_start_is_told_of_too() -> None:
    told = events_of([(0.0, HERE), (1.0, Alive(started_at=1_000.8))])
    assert [type(event) for event in told] == [ComponentDown, ComponentUp]


def test_one_that_is_only_busy_is_waited_for() -> None:
    busy: list[tuple[float, Look]] = [
        (0.0, HERE),
        (1.0, MUTE),
        (PATIENCE_S, MUTE),
        (PATIENCE_S + 0.5, HERE),
    ]
    assert events_of(busy) == []


def test_one_that_stays_silent_is_gone() -> None:
    told = events_of([(0.0, HERE), (1.0, MUTE), (1.0 + PATIENCE_S, MUTE), (60.0, MUTE)])
    assert told == [ComponentDown(name="postgres", reason="does not answer")]


async def test_a_watch_tells_its_reader_and_ends_with_it() -> None:
    looks: list[Look] = [HERE, GONE, GONE, HERE]

    async def ask() -> Look:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    watch = Watch({"postgres": ask}, period_s=0.0)
    watch.begin("postgres")
    told = []
    async for event in watch.events():
        told.append(event)
        if isinstance(event, ComponentUp):
            await watch.close()
    assert [type(event) for event in told] == [ComponentDown, ComponentUp]


async def test_one_that_cannot_even_be_asked_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaign.stack.compose.watch.PATIENCE_S", 0.0)

    async def ask() -> Look:
        raise PermissionError(13, "Permission denied")

    watch = Watch({"supervisor": ask}, period_s=0.0)
    watch.begin("supervisor")
    down = await anext(watch.events())
    await watch.close()
    assert isinstance(down, ComponentDown)
    assert "Permission denied" in down.reason


async def test_one_that_was_released_is_not_told_of() -> None:
    asked = asyncio.Event()

    async def ask() -> Look:
        asked.set()
        return GONE

    watch = Watch({"loadgen": ask}, period_s=3600.0)
    watch.begin("loadgen")
    await asked.wait()
    await watch.release("loadgen")
    await watch.close()
    assert [event async for event in watch.events()] == []


async def test_the_end_of_one_beside_is_named_and_is_covered() -> None:
    looks: list[Look] = [HERE, Alive(started_at=1_060.0)]

    async def ask() -> Look:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    watch = Watch({}, beside={"edge": ask}, period_s=0.0)
    watch.begin_beside()
    told = [event async for event in _until_up(watch)]
    assert told == [
        ComponentDown(name="edge", reason="ended, and was started again", covered=True),
        ComponentUp(name="edge"),
    ]


async def test_one_beside_that_was_never_there_is_not_missed() -> None:
    """A cluster may have no Grafana."""
    looks: list[Look] = [GONE, GONE, GONE, HERE, GONE, GONE, HERE]

    async def ask() -> Look:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    watch = Watch({}, beside={"grafana": ask}, period_s=0.0)
    watch.begin_beside()
    told = [event async for event in _until_up(watch)]
    assert len(looks) == 1
    assert [type(event) for event in told] == [ComponentDown, ComponentUp]


async def _until_up(watch: Watch) -> AsyncIterator[ComponentEvent]:
    async for event in watch.events():
        yield event
        if isinstance(event, ComponentUp):
            await watch.close()
