from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from campaign.adapters.journal import run_lock
from campaign.errors import BusyError, NotFoundError, UsageError
from campaign.identity import Identity
from campaign.journal_url import keep_journal_at
from campaign.runs import (
    RunFolder,
    find_run,
    list_runs,
    new_name,
    new_run,
    require_reachable,
    require_unused,
    runs_root,
)


def made(root: Path, name: str, *, at: float) -> RunFolder:
    run = RunFolder(path=root / name)
    run.path.mkdir(parents=True)
    run.journal_file.write_bytes(b"x")
    os.utime(run.journal_file, (at, at))
    return run


def test_the_folder_may_be_chosen_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATCHET_RUNS", "elsewhere")
    assert runs_root() == tmp_path / "elsewhere"


def test_an_ordinary_user_has_the_runs_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RATCHET_RUNS", raising=False)
    monkeypatch.setattr("campaign.runs.can_enter", lambda *_: True)
    assert runs_root() == tmp_path / "runs"
    monkeypatch.setattr("campaign.runs.can_enter", lambda *_: False)
    assert runs_root() == Path("/var/lib/ratchet/runs")


def test_a_new_name_is_a_good_name() -> None:
    name = new_name("chat_db_app")
    assert re.fullmatch(r"\d{8}-\d{6}-chat-db-app", name)
    assert new_run(Path("/nowhere"), name).name == name


@pytest.mark.parametrize("name", ["", "A", "-x", "..", "a/b", "a b", "x" * 64, "é", "a\n"])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        new_run(tmp_path, name)
    assert "use up to 63 of" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "one", at=1)
    with pytest.raises(UsageError, match="exists already") as caught:
        new_run(tmp_path, "one")
    assert "ratchet resume one" in caught.value.hint


def test_runs_are_listed_by_when_they_were_written_to(tmp_path: Path) -> None:
    made(tmp_path, "old", at=10)
    made(tmp_path, "new", at=30)
    (tmp_path / "no-run").mkdir()
    assert [run.name for run in list_runs(tmp_path)] == ["new", "old"]
    assert find_run(tmp_path, None).name == "new"
    log = tmp_path / "old" / "journal.db-wal"
    log.write_bytes(b"an event")
    os.utime(log, (40, 40))
    assert find_run(tmp_path, None).name == "old"


def test_a_reader_makes_no_run_newer(tmp_path: Path) -> None:
    made(tmp_path, "old", at=10)
    made(tmp_path, "new", at=30)
    (tmp_path / "old" / "journal.db-wal").touch()
    assert find_run(tmp_path, None).name == "new"


def test_without_runs_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    with pytest.raises(NotFoundError) as caught:
        find_run(tmp_path, None)
    assert "ratchet run" in caught.value.hint


def test_an_unknown_run_is_refused_with_the_latest_that_there_are(tmp_path: Path) -> None:
    made(tmp_path, "one", at=1)
    with pytest.raises(NotFoundError) as caught:
        find_run(tmp_path, "../one")
    assert "one" in caught.value.hint


def test_a_run_that_is_being_played_cannot_be_used(tmp_path: Path) -> None:
    run = made(tmp_path, "one", at=1)

    async def hold() -> None:
        async with run_lock(run.path):
            with pytest.raises(BusyError, match=f"pid {os.getpid()}"):
                require_unused(run)

    asyncio.run(hold())
    require_unused(run)


def test_the_apps_user_must_be_able_to_get_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    stranger = Identity(user="stranger", uid=54_321, gid=54_321)
    monkeypatch.setattr("campaign.runs.app_identity", lambda: stranger)
    with pytest.raises(UsageError, match="cannot enter") as caught:
        require_reachable(RunFolder(path=tmp_path / "run"))
    assert "--runs" in caught.value.hint


def test_a_journal_may_be_kept_in_a_postgres_database(tmp_path: Path) -> None:
    run = RunFolder(path=tmp_path / "elsewhere")
    keep_journal_at(run, "postgresql://someone:secret@/journals?host=/run/postgresql")
    assert run.journal == "postgresql://someone:secret@/journals?host=/run/postgresql"
    assert run.journal_url.stat().st_mode & 0o777 == 0o600
    assert [known.name for known in list_runs(tmp_path)] == ["elsewhere"]


def test_what_is_no_database_cannot_hold_a_journal(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--journal"):
        keep_journal_at(RunFolder(path=tmp_path / "nowhere"), "http://example")
    assert list_runs(tmp_path) == []
