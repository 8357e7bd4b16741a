"""Real receivers on loopback: prompt ones, and every way in which one can fail."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import jsonschema_rs
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from campaign import player
from campaign.adapters.journal import (
    BrokenChainError,
    JournalWriter,
    open_journal,
    open_reader,
)
from campaign.errors import UsageError
from campaign.host import Host
from campaign.machine import Campaign, fold, step
from campaign.model import Event, Plan, Webhook
from campaign.player import Performance
from campaign.rig import RigOptions
from campaign.runs import RunFolder, list_runs
from campaign.shell import Observer
from campaign.webhook import Left, deliver_left, dispatched
from campaign.webhook.notice import Notice, Place
from campaign.webhook.patience import Answer, Failure
from campaign.webhook.payload import TYPES, webhook_schema
from campaign.webhook.post import Poster
from loadgen.testing import held_port
from tests.runs_kit import played
from tests.webhook_kit import SECRET, TOKEN, Answering, Receiver, receiving

NOTICE = Notice(place=Place(1, 1), id="msg_1", type="ticket.opened", body=b'{"type":"x"}')
EVENTS = played(2)


async def attempt(url: str, *, timeout_s: float = 60.0) -> Answer:
    async with Poster(Webhook(url=url), (), timeout_s=timeout_s) as post:
        return await post(NOTICE)


async def answered(answer: Answering, *, timeout_s: float = 60.0) -> Answer:
    async with receiving(answer) as receiver:
        return await attempt(receiver.url, timeout_s=timeout_s)


def saying(status: int, **headers: str) -> Answering:
    async def answer(_request: web.Request, _number: int) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named)

    return answer


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None),
        (204, None),
        (400, Failure.REFUSED),
        (410, Failure.GONE),
        (429, Failure.THROTTLED),
        (500, Failure.SERVER_ERROR),
        (503, Failure.SERVER_ERROR),
    ],
)
async def test_an_answer_is_what_its_status_says(status: int, failure: Failure | None) -> None:
    assert (await answered(saying(status))).failure is failure


async def test_a_wish_for_a_pause_is_heard() -> None:
    answer = await answered(saying(503, retry_after="7"))
    assert answer.retry_after_s == 7.0


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as other:
        answer = await answered(saying(307, location=other.url))
        assert other.came == []
    assert answer.failure is Failure.REDIRECTED


async def test_a_receiver_that_hangs_is_left() -> None:
    hanging = asyncio.Event()

    async def hang(_request: web.Request, _number: int) -> web.StreamResponse:
        await hanging.wait()
        return web.Response()

    answer = await answered(hang, timeout_s=0.2)
    assert answer == Answer(failure=Failure.TIMEOUT, words="no answer within 0.2 seconds")


async def test_a_receiver_that_dies_in_the_middle_is_no_acknowledgement() -> None:
    async def die(request: web.Request, _number: int) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response(status=204)

    assert (await answered(die)).failure is Failure.CONNECTION


async def test_a_body_without_end_is_not_read() -> None:
    sent = 0

    async def pour(request: web.Request, _number: int) -> web.StreamResponse:
        nonlocal sent
        stream = web.StreamResponse()
        await stream.prepare(request)
        while True:
            await stream.write(b"x" * 65536)
            sent += 65536

    answer = await asyncio.wait_for(answered(pour), 60)
    assert answer.failure is None
    assert sent < 64 * 2**20


async def test_headers_without_end_are_no_acknowledgement() -> None:
    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\nx: " + b"y" * 10**6)
        await writer.drain()

    assert (await attempt(await _serving(pour))).failure is Failure.CONNECTION


async def test_what_is_no_http_is_no_acknowledgement() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()

    assert (await attempt(await _serving(greet))).failure is Failure.CONNECTION


async def _serving(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> str:
    """Until the test's loop ends."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{TOKEN}"


async def test_nobody_there_is_no_acknowledgement_and_no_address_in_the_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = await attempt(f"http://127.0.0.1:{taken.getsockname()[1]}/{TOKEN}")
    assert answer.failure is Failure.CONNECTION
    assert "no connection" in answer.words
    assert TOKEN not in answer.words


# -- a whole journal --------------------------------------------------------------------------


@pytest.fixture
async def run(tmp_path: Path) -> RunFolder:
    """A campaign that is over."""
    run = RunFolder(path=tmp_path / "one")
    await write(run, EVENTS)
    return run


async def write(run: RunFolder, events: list[Event]) -> None:
    async with open_journal(run.path) as journal:
        for event in events:
            await journal.append(event)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "webhook.secret"
    file.write_text(SECRET)
    return file


async def delivering(run: RunFolder, webhook: Webhook | None = None) -> list[Left]:
    """What was left."""
    left: list[Left] = []
    await deliver_left(run, webhook, on_left=left.append, last_s=60.0)
    return left


async def giving_up(run: RunFolder, webhook: Webhook, receiver: Receiver) -> list[Left]:
    """The same; breaks off when it tries again what the receiver did not take."""
    left: list[Left] = []
    work = asyncio.create_task(deliver_left(run, webhook, on_left=left.append, last_s=1e6))
    # The answer before was read, and what came of it noted.
    await receiver.until(lambda: len(receiver.came) > len(receiver.taken) + 1)
    work.cancel()
    await asyncio.wait({work})
    return left


async def test_all_of_it_arrives_signed_and_as_the_schema_says(
    run: RunFolder, secret_file: Path
) -> None:
    validator = jsonschema_rs.validator_for(webhook_schema())
    async with receiving() as receiver:
        webhook = Webhook(url=receiver.url, secret_file=str(secret_file))
        assert await delivering(run, webhook) == []
    assert [delivery.json["type"] for delivery in receiver.taken] == list(TYPES) * 2
    for delivery in receiver.taken:
        validator.validate(delivery.json)
        assert delivery.is_signed
    assert len(set(receiver.ids)) == len(receiver.ids)


async def test_where_it_went_is_remembered_and_so_is_what_was_acknowledged(run: RunFolder) -> None:
    async with receiving() as receiver:
        await delivering(run, Webhook(url=receiver.url))
        before = len(receiver.came)
        assert await delivering(run) == []
        assert len(receiver.came) == before == 8


async def test_what_a_dead_receiver_did_not_take_another_one_gets(run: RunFolder) -> None:
    async with receiving(saying(500)) as dead:
        (left,) = await giving_up(run, Webhook(url=dead.url), dead)
    assert (left.count, left.words) == (8, "it answered 500")
    async with receiving() as alive:
        assert await delivering(run, Webhook(url=alive.url)) == []
    assert [delivery.json["type"] for delivery in alive.taken] == list(TYPES) * 2
    assert alive.ids[0] == dead.came[0].id


async def test_a_failure_now_and_then_changes_neither_the_order_nor_the_number(
    run: RunFolder,
) -> None:
    async def limp(_request: web.Request, number: int) -> web.StreamResponse:
        return web.Response(status={1: 500, 4: 429}.get(number, 200))

    async with receiving(limp) as receiver:
        assert await delivering(run, Webhook(url=receiver.url)) == []
    assert [delivery.json["type"] for delivery in receiver.taken] == list(TYPES) * 2
    assert [receiver.came[n].id for n in (1, 4)] == [receiver.came[n].id for n in (2, 5)]
    assert len(receiver.came) == 10


async def test_a_receiver_that_is_gone_is_asked_no_more(run: RunFolder) -> None:
    async with receiving(saying(410)) as gone:
        (left,) = await delivering(run, Webhook(url=gone.url))
    assert (len(gone.came), left.count, left.words) == (1, 8, "it answered 410")


async def test_a_receiver_that_dies_and_comes_back_gets_the_rest(run: RunFolder) -> None:
    with held_port() as port:
        async with receiving(port=port) as first:
            first.answer = _acknowledging_until(first, 3)
            (left,) = await giving_up(run, Webhook(url=first.url), first)
        assert left.count == 5
        async with receiving(port=port) as second:
            assert await delivering(run) == []
    assert len(first.taken) == 3
    assert len(second.taken) == 5
    assert len({*first.ids, *second.ids}) == 8


def _acknowledging_until(receiver: Receiver, count: int) -> Answering:
    async def answer(_request: web.Request, _number: int) -> web.StreamResponse:
        return web.Response(status=200 if len(receiver.taken) < count else 502)

    return answer


async def test_neither_the_address_nor_the_secret_is_logged(
    run: RunFolder, secret_file: Path
) -> None:
    async with receiving(saying(500)) as receiver:
        webhook = Webhook(url=receiver.url, secret_file=str(secret_file))
        with capture_logs() as logs:
            await giving_up(run, webhook, receiver)
    assert logs[0]["event"] == "webhook"
    assert "webhook_not_delivered" in {entry["event"] for entry in logs}
    for forbidden in (TOKEN, SECRET, "0123456789abcdef"):
        assert forbidden not in repr(logs)


# -- beside a campaign ------------------------------------------------------------------------


class QuickShell:
    """Journals a campaign that was simulated before, and shows it, as the real one does."""

    def __init__(self, journal: JournalWriter, *, observers: tuple[Observer, ...]) -> None:
        self._journal = journal
        self._observers = observers

    async def run(self, _plan: Plan | None) -> Campaign:
        campaign = fold(await self._journal.read())
        seen = len(await self._journal.read())
        for event in EVENTS[seen:]:
            await self._journal.append(event)
            before, campaign = campaign, step(campaign, event).campaign
            for observe in self._observers:
                observe(before, event, campaign)
        assert campaign is not None
        return campaign


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """`player.play` without anything that runs, and with time to deliver on a slow disk."""

    class NoRig:
        def __init__(self, **_: object) -> None: ...

        async def stop(self) -> None: ...

    async def wire(_rig: NoRig, journal: JournalWriter, *_: object, **__: object) -> object:
        return journal

    monkeypatch.setattr(player, "Rig", NoRig)
    monkeypatch.setattr(player, "wire", wire)
    monkeypatch.setattr(player, "read_catalogue", lambda _: None)
    monkeypatch.setattr(player, "Shell", QuickShell)
    monkeypatch.setattr(player, "dispatched", partial(dispatched, last_s=60.0))


@pytest.fixture
async def begun(tmp_path: Path) -> RunFolder:
    """A campaign that was cut off in the middle."""
    run = RunFolder(path=tmp_path / "begun")
    await write(run, EVENTS[: len(EVENTS) // 2])
    return run


@pytest.mark.usefixtures("quick")
async def test_a_campaign_that_is_played_delivers_what_came_before_too(begun: RunFolder) -> None:
    registry, left = CollectorRegistry(), list[Left]()
    seen: dict[str, float | None] = {}

    async with receiving() as receiver:
        performance = Performance(
            run=begun,
            plan=None,
            options=RigOptions(webhook=Webhook(url=receiver.url)),
            registry=registry,
            on_left=left.append,
            observers=(
                lambda *_: seen.update(
                    backlog=registry.get_sample_value("ratchet_webhook_backlog")
                ),
            ),
        )
        campaign = await player.play(performance)
    assert campaign.phase.kind == "finished"
    assert [delivery.json["type"] for delivery in receiver.taken] == list(TYPES) * 2
    assert left == []
    assert seen["backlog"] is not None
    # The next campaign of this process counts from nothing.
    assert registry.get_sample_value("ratchet_webhook_backlog") is None


@pytest.mark.usefixtures("quick")
async def test_a_campaign_without_one_has_no_metrics_and_no_files_of_it(begun: RunFolder) -> None:
    registry = CollectorRegistry()
    await player.play(Performance(run=begun, plan=None, options=RigOptions(), registry=registry))
    assert not begun.webhook.exists()
    assert not begun.webhook_cursor.exists()


async def test_a_block_that_breaks_off_waits_for_nobody(run: RunFolder) -> None:
    """Ctrl-C twice: what is left stays in the journal."""
    left = list[Left]()
    begun = asyncio.Event()

    async def hang(_request: web.Request, _number: int) -> web.StreamResponse:
        begun.set()
        await asyncio.Event().wait()
        return web.Response()

    async with receiving(hang) as receiver:
        block = dispatched(
            run,
            Webhook(url=receiver.url),
            registry=CollectorRegistry(),
            on_left=left.append,
            last_s=1e6,
        )
        with pytest.raises(KeyboardInterrupt):
            await _interrupted(block, begun)
    assert [each.count for each in left] == [8]
    assert not run.webhook_cursor.exists()


async def _interrupted(block: AbstractAsyncContextManager[object], begun: asyncio.Event) -> None:
    async with block:
        await begun.wait()
        raise KeyboardInterrupt


async def test_the_journals_own_order_numbers_what_is_sent(run: RunFolder) -> None:
    async with receiving() as receiver:
        await delivering(run, Webhook(url=receiver.url))
    numbers = [delivery.json["data"]["sequence"] for delivery in receiver.taken]
    assert numbers == sorted(numbers)
    held = json.loads(run.webhook_cursor.read_text())
    assert held["sequence"] == numbers[-1]


async def test_a_journal_is_read_in_pages_whose_chain_is_checked(run: RunFolder) -> None:
    async with open_reader(run.journal) as journal:
        assert [*await journal.read(limit=2)] == EVENTS[:2]
        assert [*await journal.read(after=3, limit=2)] == EVENTS[3:5]
        assert [*await journal.read(after=len(EVENTS), limit=2)] == []
        with pytest.raises(BrokenChainError):
            await journal.read(after=len(EVENTS) + 1, limit=2)


@pytest.mark.parametrize("action", ["start", "resume"])
async def test_a_daemon_plays_nothing_when_it_could_not_sign(
    run: RunFolder, tmp_path: Path, action: str
) -> None:
    lacking = Webhook(url="https://pager.example", secret_file=str(tmp_path / "gone.secret"))
    runs = run.path.parent
    async with Host(runs, options=RigOptions(webhook=lacking)) as host:
        with pytest.raises(UsageError, match=r"gone\.secret"):
            await _asked(host, action, run.name)
    assert [each.name for each in list_runs(runs)] == [run.name]


async def _asked(host: Host, action: str, name: str) -> None:
    if action == "start":
        await host.start({"operator": "none", "first": 1, "name": "two"})
    else:
        await host.resume(name)
