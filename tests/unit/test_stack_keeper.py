from __future__ import annotations

import asyncio
from typing import cast

import pytest

from campaign.stack.errors import ComponentFailedError
from campaign.stack.interface import ComponentDown, ComponentUp
from campaign.stack.keeper import MAX_RESTARTS, RESTART_WINDOW_S, Keeper, RestartBudget
from campaign.stack.processes import ProcessExit
from campaign.stack.service import Service


class FakeService:
    """Ends when told to; refuses to start while `broken`."""

    name = "prometheus"

    def __init__(self) -> None:
        self.starts = 0
        self.broken = False
        self._ends: asyncio.Queue[int] = asyncio.Queue()

    def end(self, returncode: int) -> None:
        self._ends.put_nowait(returncode)

    async def ended(self) -> ProcessExit:
        returncode = await self._ends.get()
        return ProcessExit(name=self.name, returncode=returncode, log_tail=("last words",))

    async def start(self) -> None:
        self.starts += 1
        if self.broken:
            raise ComponentFailedError(self.name, "will not start")


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaign.stack.keeper._PAUSE_S", 0)


def _watch(service: FakeService) -> Keeper:
    keeper = Keeper()
    keeper.watch(cast("Service", service))
    return keeper


async def test_a_component_that_ends_is_told_of_and_started_again(service: FakeService) -> None:
    keeper = _watch(service)
    events = keeper.events()
    service.end(-9)
    assert await anext(events) == ComponentDown(
        name="prometheus", reason="was killed by SIGKILL", log_tail=("last words",)
    )
    assert await anext(events) == ComponentUp(name="prometheus")
    assert service.starts == 1
    await keeper.close()


async def test_one_that_fails_too_often_is_given_up_and_the_last_word_is_final(
    service: FakeService,
) -> None:
    keeper = _watch(service)
    events = keeper.events()
    for _ in range(MAX_RESTARTS + 1):
        service.end(1)
    seen = [await anext(events) for _ in range(2 * MAX_RESTARTS + 1)]
    assert [type(event) for event in seen[:-1]] == [ComponentDown, ComponentUp] * MAX_RESTARTS
    last = seen[-1]
    assert isinstance(last, ComponentDown)
    assert last.final
    assert last.reason == "ended with exit code 1; given up after 3 restarts"
    await keeper.close()


async def test_one_that_cannot_be_started_again_spends_the_same_budget(
    service: FakeService,
) -> None:
    service.broken = True
    keeper = _watch(service)
    events = keeper.events()
    service.end(1)
    seen = [await anext(events) for _ in range(MAX_RESTARTS + 1)]
    assert all(isinstance(event, ComponentDown) for event in seen)
    assert seen[-1] == ComponentDown(
        name="prometheus",
        reason="prometheus will not start; given up after 3 restarts",
        final=True,
    )
    await keeper.close()


async def test_what_was_released_may_end_in_silence(service: FakeService) -> None:
    keeper = _watch(service)
    await keeper.release("prometheus")
    service.end(0)
    await keeper.close()
    assert [event async for event in keeper.events()] == []
    assert service.starts == 0


def test_old_restarts_do_not_count() -> None:
    budget = RestartBudget()
    assert [budget.take(at=float(at)) for at in range(4)] == [True, True, True, False]
    assert budget.take(at=RESTART_WINDOW_S + 0.5)
    assert not budget.take(at=RESTART_WINDOW_S + 0.6)
