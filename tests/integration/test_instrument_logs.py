"""Logs of an app in files, and what a real Postgres writes about its roles."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from operators import ToolError
from operators.toolbox.instruments import LogLevel, LogQuery

from campaign.adapters.instruments import logs as log_files
from campaign.adapters.instruments.logs import SEARCHED_BYTES, LogFiles
from campaign.adapters.instruments.tail import newest_lines
from tests.integration.database_kit import Server, running_server


def at(second: int) -> float:
    return datetime(2026, 11, 21, 12, 0, second, tzinfo=UTC).timestamp()


def as_json(second: int, level: str, event: str) -> str:
    return json.dumps(
        {"time": f"2026-11-21T12:00:{second:02}+0000", "level": level, "event": event}
    )


@pytest.fixture
def logs(tmp_path: Path) -> LogFiles:
    return LogFiles(
        app_log=tmp_path / "app.log", database_log=tmp_path / "postgres.log", role="chat"
    )


def write(folder: Path, *lines: str, name: str = "app.log") -> None:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))


async def test_the_last_lines_come_oldest_first_and_go_on_in_the_rotated_file(
    logs: LogFiles, tmp_path: Path
) -> None:
    assert await logs.read(LogQuery()) == []
    write(tmp_path, "one", "two", name="app.log.1")
    write(tmp_path, "three", "four")
    assert await logs.read(LogQuery(lines=3)) == ["two", "three", "four"]
    assert await logs.read(LogQuery(lines=9)) == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["a", "b", "c", "d", "Traceback"]),
        ("warning", ["b", "c", "Traceback"]),
        ("critical", ["Traceback"]),
    ],
)
async def test_levels_are_read_from_json_and_from_text(
    logs: LogFiles, tmp_path: Path, level: LogLevel, expected: list[str]
) -> None:
    write(
        tmp_path,
        as_json(1, "info", "a"),
        as_json(2, "warning", "b"),
        "2026-11-21 12:00:03,123 ERROR chat: c",
        "2026-11-21T12:00:04Z DEBUG no error here: d",
        "Traceback (most recent call last):",
    )
    found = await logs.read(LogQuery(level=level))
    assert len(found) == len(expected)
    assert all(word in line for word, line in zip(expected, found, strict=True))


async def test_lines_without_a_time_have_that_of_the_line_before(
    logs: LogFiles, tmp_path: Path
) -> None:
    write(
        tmp_path,
        as_json(1, "error", "early"),
        "  of early",
        as_json(5, "error", "late"),
        "  of late",
        as_json(9, "info", "last"),
    )
    found = await logs.read(LogQuery(since=at(4), until=at(6)))
    assert found == [as_json(5, "error", "late"), "  of late"]
    assert await logs.read(LogQuery(since=at(4), contains="of")) == ["  of late"]
    assert await logs.read(LogQuery(until=at(1), lines=1)) == ["  of early"]


async def test_hostile_lines_do_no_harm(logs: LogFiles, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(
        b"\x1b[31mred\x07\n" + b"{" * 5000 + b"\n" + b"\xff\xfe\n" + b"x" * 100_000 + b"\n"
        b'{"time": 1e999, "level": ["a"]}\n{"time": "tomorrow"}\nlast without an end'
    )
    found = await logs.read(LogQuery(level="error", since=None))
    assert found[0] == "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}"
    assert max(map(len, found)) < 9000
    assert found[-1] == "last without an end"
    assert await logs.read(LogQuery(since=at(0))) == []


async def test_of_a_huge_file_only_the_end_is_looked_at(logs: LogFiles, tmp_path: Path) -> None:
    with (tmp_path / "app.log").open("wb") as file:
        file.write(b"the first line\n")
        file.seek(400 << 20)
        file.write(b"\nthe last line\n")
    assert (await logs.read(LogQuery(lines=1)))[0] == "the last line"
    assert await logs.read(LogQuery(contains="the first")) == []
    read = sum(map(len, newest_lines((tmp_path / "app.log",), max_bytes=SEARCHED_BYTES)))
    assert read < SEARCHED_BYTES


async def test_what_makes_no_sense_is_refused(logs: LogFiles) -> None:
    with pytest.raises(ToolError, match="between 1 and 2000"):
        await logs.read(LogQuery(lines=0))


async def test_one_read_at_a_time_keeps_nothing_else_waiting(
    logs: LogFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, *map(str, range(100)))
    reading, most, lock = 0, 0, threading.Lock()
    may_go_on = threading.Event()

    def slowly(files: tuple[Path, ...], *, max_bytes: int) -> Iterator[bytes]:
        nonlocal reading, most
        with lock:
            reading += 1
            most = max(most, reading)
        assert may_go_on.wait(timeout=60)
        yield from newest_lines(files, max_bytes=max_bytes)
        with lock:
            reading -= 1

    monkeypatch.setattr(log_files, "newest_lines", slowly)
    reads = [asyncio.create_task(logs.read(LogQuery(lines=1_000))) for _ in range(30)]
    async with asyncio.timeout(30):
        while not reading:  # noqa: ASYNC110 - a thread rings no bell
            await asyncio.sleep(0.01)
        # Others have threads left, although all these wait.
        await asyncio.to_thread(may_go_on.set)
    assert {len(found) for found in await asyncio.gather(*reads)} == {100}
    assert most == 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server() as server:
        yield server


@pytest.mark.asyncio(loop_scope="module")
async def test_of_the_database_only_what_concerns_the_apps_role_is_shown(
    server: Server,
) -> None:
    theirs = await asyncpg.connect(server.superuser_dsn)
    app = await asyncpg.connect(server.addresses.app_dsn)
    try:
        for connection, who in ((theirs, "canary"), (app, "ours"), (theirs, "canary")):
            with suppress(asyncpg.PostgresError):
                await connection.execute(f"SELECT {who}_missing\nFROM nowhere")
            # Longer than a quarter of a second is explained.
            slow = f"SELECT '{who}' FROM (SELECT pg_sleep(0.4)) s"  # noqa: S608 - ours
            await connection.fetchval(slow)
        with suppress(asyncpg.PostgresError):
            await app.execute("DO $$ BEGIN RAISE WARNING 'a\nb: of the app'; END $$")
    finally:
        await theirs.close()
        await app.close()
    log = server.service.spec.process.log_file
    logs = LogFiles(app_log=log, database_log=log, role="chat")
    found = await logs.read(LogQuery(source="database"))
    assert "canary" in log.read_text()
    assert "canary" not in "\n".join(found)
    failed = next(entry for entry in found if "does not exist" in entry)
    assert "STATEMENT:  SELECT ours_missing\n" in failed
    assert "FROM nowhere" in failed
    assert any("Query Text: SELECT 'ours'" in entry for entry in found)
    assert any("b: of the app" in entry for entry in found)
    errors = await logs.read(LogQuery(source="database", level="error"))
    assert errors == [failed]


async def test_a_deadlock_does_not_tell_what_another_role_did(
    logs: LogFiles, tmp_path: Path
) -> None:
    write(
        tmp_path,
        "2026-11-21 12:00:01.000 UTC [7] chat@chat LOG:  hello",
        "2026-11-21 12:00:02.000 UTC [9] ratchet@chat LOG:  canary",
        "2026-11-21 12:00:03.000 UTC [8] chat@chat ERROR:  deadlock detected",
        "2026-11-21 12:00:03.000 UTC [8] chat@chat DETAIL:  Process 8 waits for ShareLock on x.",
        "\tProcess 9 waits for ShareLock on y.",
        "\tProcess 8: UPDATE ours",
        "\tSET more",
        "\tProcess 9: UPDATE canary",
        "\tSET canary",
        "2026-11-21 12:00:03.000 UTC [8] chat@chat STATEMENT:  UPDATE ours",
        "2026-11-21 12:00:04.000 UTC [3] LOG:  checkpoint canary",
        name="postgres.log",
    )
    found = await logs.read(LogQuery(source="database"))
    assert len(found) == 2
    assert "canary" not in "\n".join(found)
    assert "UPDATE ours\n\tSET more" in found[1]
    assert "Process 9: (another role's)" in found[1]
    assert found[1].endswith("STATEMENT:  UPDATE ours")
