"""The database's log is put aside when it is too long, and nobody who writes to it knows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog.testing

from campaign.stack.errors import StackError
from campaign.stack.log_bound import LogBound, aside, cut
from campaign.stack.processes import log_tail


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def bound_of(path: Path, asked: list[int], *, failures: int = 0) -> LogBound:
    async def put_aside() -> None:
        size = size_of(path)
        try:
            if len(asked) < failures:
                raise StackError("the server is away")
            await cut(path, limit_bytes=100)
        finally:
            # Last: whoever waits for it wants to see what it did.
            asked.append(size)

    return LogBound(path=path, put_aside=put_aside, limit_bytes=100, period_s=0.001)


async def until_asked(asked: list[int], times: int) -> None:
    async with asyncio.timeout(60):
        while len(asked) < times:  # noqa: ASYNC110 - the task under test
            await asyncio.sleep(0.001)


async def test_the_end_of_a_long_log_is_put_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "postgres.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100 + b"the end\n")
        await cut(path, limit_bytes=100)
        writer.write(b"new\n")
    assert path.read_text() == "new\n"
    assert aside(path).read_text().endswith("the end\n")
    assert aside(path).stat().st_size == 100
    assert size_of(tmp_path / ".postgres.log.new") == 0


async def test_a_short_one_is_left_alone_until_it_is_long(tmp_path: Path) -> None:
    path, asked = tmp_path / "postgres.log", list[int]()
    path.write_text("x" * 100)
    bound = bound_of(path, asked)
    bound.begin()
    try:
        with path.open("a") as writer:
            writer.write("y")
        await until_asked(asked, 1)
    finally:
        await bound.close()
    assert asked == [101]
    assert path.read_text() == ""


async def test_a_server_that_cannot_be_asked_is_asked_again(tmp_path: Path) -> None:
    path, asked = tmp_path / "postgres.log", list[int]()
    path.write_text("x" * 200)
    bound = bound_of(path, asked, failures=2)
    with structlog.testing.capture_logs() as said:
        bound.begin()
        try:
            await until_asked(asked, 3)
        finally:
            await bound.close()
    assert asked == [200, 200, 200]
    # Once, and not at every look.
    assert [entry["reason"] for entry in said] == ["the server is away"]


async def test_one_that_is_gone_is_still_written_to_under_another_name(tmp_path: Path) -> None:
    """Its server was not told in time to begin another."""
    path, asked = tmp_path / "postgres.log", list[int]()
    aside(path).write_text("x")
    bound = bound_of(path, asked)
    bound.begin()
    try:
        await until_asked(asked, 2)
    finally:
        await bound.close()
    assert set(asked) == {0}


def test_the_tail_of_a_log_that_was_cut_is_what_it_has_since(tmp_path: Path) -> None:
    path = tmp_path / "postgres.log"
    path.write_text("FATAL: no\n")
    assert log_tail(path, lines=5, start=1000) == ["FATAL: no"]
