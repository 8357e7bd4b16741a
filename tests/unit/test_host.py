from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from campaign import host as hosting
from campaign.addresses import Address, announce, read_address
from campaign.errors import BusyError, NotFoundError, RatchetError, UsageError
from campaign.host import Host
from campaign.machine import Campaign
from campaign.model import ContinueRequested, Event, PauseRequested
from campaign.player import Performance
from campaign.rig import RigOptions
from campaign.runs import RunFolder, api_file
from campaign.shell import CampaignOverError
from campaign.testing import make_plan, simulate
from tests.runs_kit import played, write_run

ENDED = simulate(make_plan(1))


class FakeShell:
    """Plays until it is asked to stop."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.over = asyncio.Event()

    def now(self) -> float:
        return 5.0

    async def record(self, event: Event) -> None:
        if self.over.is_set():
            raise CampaignOverError("over")
        assert isinstance(event, PauseRequested | ContinueRequested)
        self.told.append(event.kind)

    async def request_stop(self, reason: str) -> None:
        self.told.append(reason)
        self.over.set()


class FakePlayer:
    """Stands in for `campaign.player.play`."""

    def __init__(self) -> None:
        self.shell = FakeShell()
        self.performances: list[Performance] = []
        self.refusal: Exception | None = None
        self.asked = asyncio.Event()
        #: the journal opens when this is set
        self.may_open = asyncio.Event()
        self.may_open.set()

    async def __call__(self, performance: Performance) -> Campaign:
        self.performances.append(performance)
        self.asked.set()
        await self.may_open.wait()
        if self.refusal is not None:
            raise self.refusal
        performance.run.path.mkdir(parents=True, exist_ok=True)
        performance.on_shell(self.shell)  # type: ignore[arg-type]
        await self.shell.over.wait()
        return ENDED


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> FakePlayer:
    fake = FakePlayer()
    monkeypatch.setattr(hosting, "play", fake)
    monkeypatch.setattr(hosting, "require_ready", lambda _: "")
    return fake


@pytest.fixture
async def host(player: FakePlayer, tmp_path: Path) -> AsyncGenerator[Host, None]:
    del player
    async with Host(tmp_path) as host:
        yield host


def performance(run: RunFolder, on_shell: Callable[[Any], None] = lambda _: None) -> Performance:
    return Performance(run=run, plan=None, options=RigOptions(), on_shell=on_shell)


async def test_a_started_campaign_can_be_reached_until_it_ends(
    host: Host, player: FakePlayer
) -> None:
    name = await host.start({"operator": "none", "first": 1, "name": "one"})
    run = RunFolder(path=host.root / name)
    assert read_address(api_file(run)) == host.address
    assert api_file(run).stat().st_mode & 0o777 == 0o600
    (asked,) = player.performances
    assert asked.plan is not None
    assert (asked.plan.operator, len(asked.plan.profiles)) == ("none", 1)


async def test_its_end_takes_the_address_away(host: Host, player: FakePlayer) -> None:
    run = RunFolder(path=host.root / "one")
    playing = asyncio.create_task(host.play(performance(run, lambda _: player.shell.over.set())))
    assert await playing is ENDED
    assert not api_file(run).exists()


async def test_a_refused_resume_leaves_the_address_of_who_plays_alone(
    host: Host, player: FakePlayer
) -> None:
    run = RunFolder(path=host.root / "one")
    run.path.mkdir()
    other = Address(url="http://127.0.0.1:1", token="t", pid=os.getpid())  # noqa: S106
    announce(api_file(run), other)
    player.refusal = UsageError("in use by pid 1")
    with pytest.raises(UsageError, match="in use"):
        await host.play(performance(run))
    assert read_address(api_file(run)) == other


async def test_why_a_campaign_does_not_begin_is_told_to_who_asked(
    host: Host, player: FakePlayer
) -> None:
    player.refusal = UsageError("in use by pid 1")
    with pytest.raises(UsageError, match="in use"):
        await host.start({"name": "one"})


async def test_only_one_campaign_is_played_at_a_time(host: Host, player: FakePlayer) -> None:
    player.may_open.clear()
    first, second = (
        asyncio.create_task(host.start({"first": 1, "name": name})) for name in ("one", "two")
    )
    await player.asked.wait()
    player.may_open.set()
    results = await asyncio.gather(first, second, return_exceptions=True)
    refused = [result for result in results if isinstance(result, BusyError)]
    assert len(refused) == 1
    assert "is being played" in str(refused[0])
    assert len(player.performances) == 1


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"nonsense": 1}, "nonsense: Extra inputs are not permitted"),
        ({"first": "many"}, "first: Input should be a valid integer"),
        ({"mode": "sometimes"}, "mode: Input should be 'continuous' or 'isolated'"),
        ({"operator": "nobody"}, "unknown operator: nobody"),
        ({"name": "../x"}, "cannot be a campaign's name"),
        ({"profiles": []}, "no profile is named"),
    ],
)
async def test_a_bad_order_is_refused_with_what_to_do(
    host: Host, player: FakePlayer, order: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        await host.start(order)
    assert caught.value.hint
    assert player.performances == []
    assert list(host.root.iterdir()) == []


async def test_what_is_not_here_cannot_be_stopped(host: Host) -> None:
    for act in (host.stop, host.pause, host.proceed, host.resume):
        with pytest.raises(NotFoundError):
            await act("one")


async def test_what_somebody_else_plays_or_nobody_is_not_stopped_here(tmp_path: Path) -> None:
    await asyncio.to_thread(write_run, tmp_path, "one", played(1))
    async with Host(tmp_path) as host:
        with pytest.raises(BusyError, match="not being played here"):
            await host.stop("one")


async def test_a_campaign_pauses_goes_on_and_stops(tmp_path: Path, player: FakePlayer) -> None:
    await asyncio.to_thread(write_run, tmp_path, "one", played(1))
    async with Host(tmp_path) as host:
        await host.resume("one")
        await host.pause("one")
        await host.proceed("one")
        await host.stop("one")
        assert player.shell.told == [
            "pause_requested",
            "continue_requested",
            "asked over the API",
        ]
        with pytest.raises(BusyError):
            await host.pause("one")


async def test_the_end_of_the_daemon_stops_what_it_plays(
    tmp_path: Path, player: FakePlayer
) -> None:
    async with Host(tmp_path) as host:
        await host.start({"first": 1})
    assert player.shell.told == ["the daemon ends"]


async def test_the_end_of_the_daemon_does_not_wait_for_what_has_not_begun(
    tmp_path: Path, player: FakePlayer
) -> None:
    player.may_open.clear()
    async with Host(tmp_path) as host:
        starting = asyncio.create_task(host.start({"first": 1}))
        await player.asked.wait()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_events_are_read_from_the_journal_after_any_of_them(tmp_path: Path) -> None:
    events = played(1)
    await asyncio.to_thread(write_run, tmp_path, "one", events)
    async with Host(tmp_path) as host:
        told = [event async for event in await host.events("one", after=0)]
        assert [number for number, _ in told] == list(range(1, len(events) + 1))
        assert [event["kind"] for _, event in told] == [event.kind for event in events]
        last = [event async for event in await host.events("one", after=len(events) - 1)]
        assert last == told[-1:]
        assert [event async for event in await host.events("one", after=len(events))] == []
        with pytest.raises(UsageError, match="no event 9999"):
            await host.events("one", after=9_999)


async def test_the_report_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    await asyncio.to_thread(write_run, tmp_path, "one", played(1))
    await asyncio.to_thread(write_run, tmp_path, "none", [])
    async with Host(tmp_path) as host:
        assert (await host.report("one") / "index.html").is_file()
        with pytest.raises(RatchetError, match="no events yet"):
            await host.report("none")


async def test_states_tell_a_journal_that_cannot_be_read_apart(tmp_path: Path) -> None:
    await asyncio.to_thread(write_run, tmp_path, "good", played(1))
    await asyncio.to_thread(write_run, tmp_path, "none", [])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "journal.db").write_text("no database")
    async with Host(tmp_path) as host:
        phases = {state["campaign"]: state["phase"] for state in await host.campaigns()}
        # The simulator's own name of the campaign is in its journal.
        assert phases == {"simulated": "finished", "none": "empty", "bad": "unreadable"}
        assert (await host.campaign("bad"))["failure"]


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    async with Host(tmp_path) as host:
        port = int(host.address.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {port} is in use") as caught:
            async with Host(tmp_path, port=port):
                pass
    assert "--port" in caught.value.hint
