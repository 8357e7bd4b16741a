"""What a hostile operator tries by its tools: each trick with its control, and without it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from campaign.adapters.workspace_shell import WorkspaceShell
from campaign.model import DeploymentFinished
from tests.hostile_kit import Arena, arena
from tests.hostile_tricks import TRICKS, Trick
from tests.integration.instrument_kit import NO_SANDBOX

pytestmark = [
    pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.alone,
]

each_trick = pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)


@pytest_asyncio.fixture(name="place", scope="module", loop_scope="module")
async def make_place() -> AsyncIterator[Arena]:
    async with arena() as place:
        yield place


@each_trick
async def test_it_fails_and_is_on_record(place: Arena, trick: Trick) -> None:
    await place.restore()
    before = len(place.desk.events)
    assert not await trick.attempt(place, None)
    events = (await place.desk.journal.read())[before:]
    assert any(trick.journaled(event) for event in events)


@each_trick
async def test_it_succeeds_without_its_control(place: Arena, trick: Trick) -> None:
    await place.restore()
    assert await trick.attempt(place, trick.control)


async def test_a_refused_deployment_says_what_was_wrong_and_no_more(place: Arena) -> None:
    refused = [
        event
        for event in place.desk.events
        if isinstance(event, DeploymentFinished) and not event.ok
    ]
    assert refused
    assert any("is not a plain requirement" in event.reason for event in refused)


async def test_without_a_sandbox_tools_still_get_no_key(place: Arena) -> None:
    told = await WorkspaceShell(place.workspace.path, confined=False).run(("env",))
    assert told.exit_code == 0
    assert place.secret not in told.output
