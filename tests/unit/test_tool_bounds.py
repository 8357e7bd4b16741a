from __future__ import annotations

import asyncio

import pytest
from operators.toolbox import bounds
from operators.toolbox.seen_through import seen_through


def test_what_is_short_enough_is_left_alone() -> None:
    for cut in (bounds.head, bounds.tail, bounds.ends, bounds.one_line):
        assert cut("abc", 3) == "abc"


def test_a_cut_says_what_it_left_out() -> None:
    text = "0123456789"
    assert bounds.head(text, 3) == "012\n[cut: the first 3 of 10 characters]"
    assert bounds.tail(text, 3) == "[cut: the last 3 of 10 characters]\n789"
    assert bounds.ends(text, 3) == "0\n[cut: 7 characters]\n89"
    assert bounds.one_line("a\nb\tc" * 5, 6) == r"a\nb\…"


def test_what_is_seen_through_gives_its_result_or_its_failure() -> None:
    async def seven() -> int:
        return 7

    async def fails() -> None:
        raise OSError("disk")

    assert asyncio.run(seen_through(seven())) == 7
    with pytest.raises(OSError, match="disk"):
        asyncio.run(seen_through(fails()))


async def test_what_is_seen_through_ends_before_its_cancellation_is_passed_on() -> None:
    may_end, ended = asyncio.Event(), []

    async def work() -> None:
        await may_end.wait()
        ended.append(True)
        raise OSError("and it fails")

    task = asyncio.create_task(seen_through(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
