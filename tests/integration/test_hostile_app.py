"""What a hostile operator has the app do after a deployment: with each control, and without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest
import pytest_asyncio

from campaign.model import ActionTaken, DeploymentFinished, DeploymentRequested
from tests.hostile_attacks import ATTACKS, EATS_ALL, Attack
from tests.hostile_kit import PATIENT_S, Arena, Scene, arena, staged
from tests.hostile_places import memory_group, require_feasible, until_killed
from tests.integration.instrument_kit import NO_SANDBOX

pytestmark = [
    pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.alone,
]

IN_THE_APP = [attack for attack in ATTACKS if "app" in attack.surfaces]
CONTROLS = sorted({attack.control for attack in IN_THE_APP})


@pytest_asyncio.fixture(name="place", scope="module", loop_scope="module")
async def make_place() -> AsyncIterator[Arena]:
    async with arena() as place:
        yield place


async def which_succeed(place: Arena, attacks: Sequence[Attack], *, off: str | None) -> list[str]:
    """Of these, one after the other on one app; each is in the journal, as is its deployment."""
    await place.restore()
    before = len(place.desk.events)
    async with staged(place, off=off) as made:
        succeeded = [attack.name for attack in attacks if await _succeeds(made, attack)]
    if await made.left_behind():
        succeeded += [attack.name for attack in attacks if attack.sign == "left"]
    journaled = (await place.desk.journal.read())[before:]
    kinds = [type(event) for event in journaled]
    assert kinds[:2] == [DeploymentRequested, DeploymentFinished]
    tries = [event for event in journaled if isinstance(event, ActionTaken)]
    assert [event.tool for event in tries] == ["deploy", *("http_request" for _ in attacks)]
    for attack, event in zip(attacks, tries[1:], strict=True):
        assert attack.name in event.arguments["body"]["code"]
    return succeeded


async def _succeeds(made: Scene, attack: Attack) -> bool:
    answer = await made.attack(attack, "app")
    # An attack that breaks off has not been tried.
    assert answer.text.startswith("HTTP 200"), answer.text
    return await made.succeeded(attack, answer)


async def test_none_succeeds(place: Arena) -> None:
    assert await which_succeed(place, IN_THE_APP, off=None) == []


@pytest.mark.parametrize("control", CONTROLS)
async def test_those_that_it_stops_succeed_without_a_control(place: Arena, control: str) -> None:
    stopped = [attack for attack in IN_THE_APP if attack.control == control]
    for attack in stopped:
        require_feasible(attack)
    assert await which_succeed(place, stopped, off=control) == [attack.name for attack in stopped]


@pytest.mark.parametrize("off", [None, EATS_ALL.control])
async def test_an_app_that_eats_all_memory_dies_before_the_supervisor(
    place: Arena, off: str | None
) -> None:
    await place.restore()
    with memory_group() as group:
        async with staged(place, off=off, group=group) as made:
            assert made.stage is not None
            await made.attack(EATS_ALL, "app")
            await until_killed(group)
            # What is killed ends, but not at once; who lives on does so for a second.
            patience_s = PATIENT_S if off else 1.0
            with suppress(TimeoutError):
                await asyncio.wait_for(made.stage.process.wait(), patience_s)
            is_dead = made.stage.process.returncode is not None
    assert is_dead is (off is not None)
