"""What a hostile operator tries in its shell: each attack with its control, and without it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from campaign.model import ActionTaken
from tests.hostile_attacks import ATTACKS, Attack
from tests.hostile_kit import Arena, arena, scene
from tests.hostile_places import require_feasible
from tests.integration.instrument_kit import NO_SANDBOX

pytestmark = [
    pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.alone,
]

IN_THE_SHELL = [attack for attack in ATTACKS if "shell" in attack.surfaces]
each_attack = pytest.mark.parametrize("attack", IN_THE_SHELL, ids=lambda attack: attack.name)


@pytest_asyncio.fixture(name="place", scope="module", loop_scope="module")
async def make_place() -> AsyncIterator[Arena]:
    async with arena() as place:
        yield place


async def tried(place: Arena, attack: Attack, *, off: str | None) -> bool:
    """Whether it succeeds; that it was tried is in the journal."""
    await place.restore()
    before = len(place.desk.events)
    async with scene(place, off=off) as made:
        answer = await made.attack(attack, "shell")
        succeeded = await made.succeeded(attack, answer)
    journaled = await place.desk.journal.read()
    tries = [event for event in journaled[before:] if isinstance(event, ActionTaken)]
    assert [event.tool for event in tries] == ["bash"]
    assert attack.name in tries[0].arguments["command"]
    return await made.left_behind() or succeeded


@each_attack
async def test_it_fails(place: Arena, attack: Attack) -> None:
    assert not await tried(place, attack, off=None)


@each_attack
async def test_it_succeeds_without_its_control(place: Arena, attack: Attack) -> None:
    require_feasible(attack)
    assert await tried(place, attack, off=attack.control)
