"""A writer that is killed at any moment loses no event that it acknowledged."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from campaign.adapters.journal import open_journal, open_reader
from campaign.model import ComponentUp
from campaign.run_holder import run_holder

_KILLS = 20


def _write_without_end(run_dir: Path, acknowledged: Connection) -> None:
    """Runs in a process of its own; says the number of each event that `append` acknowledged."""

    async def write() -> None:
        async with open_journal(run_dir) as journal:
            while True:
                number = await journal.append(ComponentUp(at=1.0, trial=0, component="x" * 500))
                acknowledged.send(number)

    asyncio.run(write())


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """One journal, killed twenty times; each writer goes on where the one before was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["campaign.adapters.journal"])
    chance = random.Random(7)  # noqa: S311 - when to kill is no secret
    written = 0
    for _ in range(_KILLS):
        receiving, sending = context.Pipe(duplex=False)
        writer = context.Process(target=_write_without_end, args=(tmp_path, sending))
        writer.start()
        sending.close()
        with closing(receiving):
            last = _acknowledged(receiving, at_least=chance.randint(1, 12))
            assert writer.pid == run_holder(tmp_path)
            writer.kill()
            writer.join()
            last = max(last, _drained(receiving))
        assert run_holder(tmp_path) is None
        kept = asyncio.run(_count(tmp_path))
        assert written < last <= kept
        written = kept


def _acknowledged(receiving: Connection, *, at_least: int) -> int:
    """The number of the last of so many acknowledged events."""
    numbers = [receiving.recv() for _ in range(at_least)]
    assert sorted(numbers) == numbers
    return int(numbers[-1])


def _drained(receiving: Connection) -> int:
    """What it had still said when it was killed; a message cut short was not said."""
    last = 0
    try:
        while True:
            last = int(receiving.recv())
    except (EOFError, OSError):
        return last


async def _count(run_dir: Path) -> int:
    async with open_reader(run_dir) as reader:
        return len(await reader.read())
