"""The real `ratchet`: killed between two deliveries, resumed, and told nonsense."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
from aiohttp import web

from campaign.adapters.journal import open_journal, run_lock
from campaign.model import Webhook
from campaign.runs import RunFolder
from campaign.webhook.payload import TYPES
from campaign.webhook.settings import keep
from tests.runs_kit import RATCHET, played, ratchet
from tests.webhook_kit import SECRET, TOKEN, acknowledging, receiving


@pytest.fixture
async def run(tmp_path: Path) -> RunFolder:
    """A campaign that is over, and of which nobody was told."""
    run = RunFolder(path=tmp_path / "runs" / "one")
    async with open_journal(run.path) as journal:
        for event in played(3, name="one"):
            await journal.append(event)
    return run


async def resuming(run: RunFolder, *more: str) -> Process:
    return await asyncio.create_subprocess_exec(
        RATCHET, "resume", "one", "--runs", run.path.parent, *more, stdout=PIPE, stderr=PIPE
    )


async def told(process: Process) -> str:
    """All that it said, once it is over."""
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return (out + err).decode()


async def test_kill_9_at_each_delivery_loses_nothing_and_repeats_only_the_one_under_way(
    run: RunFolder, tmp_path: Path
) -> None:
    """Killed before the answer could be read: each time the receiver has it, and nobody knows."""
    secret = tmp_path / "webhook.secret"
    secret.write_text(SECRET)
    victims: list[Process] = []

    async def kill(_request: web.Request, number: int) -> web.StreamResponse:
        if number % 4 == 3 and len(victims) < 3:
            victim = processes[-1]
            victims.append(victim)
            victim.kill()
            await victim.wait()
        return web.Response(status=204)

    processes: list[Process] = []
    async with receiving(kill) as receiver:
        keep(run.webhook, Webhook(url=receiver.url, secret_file=str(secret)))
        while not processes or processes[-1].returncode == -signal.SIGKILL:
            processes.append(await resuming(run))
            said = await told(processes[-1])
    assert len(victims) == 3
    assert processes[-1].returncode == 0, said
    came = [delivery.id for delivery in receiver.came]
    in_order = list(dict.fromkeys(came))
    kinds = {delivery.id: delivery.json["type"] for delivery in receiver.came}
    assert [kinds[each] for each in in_order] == list(TYPES) * 3
    # Each of the killed ones is the next one's first, and nothing else comes twice.
    assert len(came) == len(in_order) + len(victims)
    assert all(came[at] == came[at + 1] for at in (3, 7, 11))
    assert all(delivery.is_signed for delivery in receiver.came)


async def test_resume_of_a_finished_campaign_says_what_could_not_be_delivered(
    run: RunFolder,
) -> None:
    """410 ends it at once; the command to go on with is printed, and the address is not."""

    async def gone(_request: web.Request, _number: int) -> web.StreamResponse:
        return web.Response(status=410)

    async with receiving(gone) as receiver:
        process = await resuming(run, "--webhook", receiver.url)
        said = await told(process)
    assert "webhook: 12 notices are not delivered (it answered 410)" in said
    assert f"ratchet resume one --runs {run.path.parent}" in said
    assert TOKEN not in said
    async with receiving(acknowledging) as receiver:
        said = await told(await resuming(run, "--webhook", receiver.url))
        assert len(receiver.taken) == 12
    assert "webhook" not in said


async def test_two_processes_never_deliver_at_once(run: RunFolder) -> None:
    async with receiving() as receiver:
        keep(run.webhook, Webhook(url=receiver.url))
        async with run_lock(run.path):
            process = await resuming(run)
            said = await told(process)
        assert receiver.came == []
    assert process.returncode == 2
    assert "in use" in said


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("run", "--dry-run", "--webhook", "pager.example"), "expected http:// or https://"),
        (("run", "--dry-run", "--webhook-secret-file", "x"), "where to?"),
        (("trial", "missing_index", "--dry-run", "--webhook", "ftp://x"), "expected http://"),
        (("serve", "--port", "0", "--webhook", "https://a:b@pager.example"), "must not hold a"),
        (
            ("run", "--dry-run", "--webhook", "https://x", "--webhook-secret-file", "/dev/null"),
            "it is empty",
        ),
    ],
    ids=["address", "secret alone", "trial", "daemon", "empty secret"],
)
def test_nonsense_is_refused_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    done = ratchet(*arguments, "--runs", tmp_path)
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
