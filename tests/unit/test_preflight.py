from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from campaign import doctor, preflight
from campaign.adapters.journal import run_lock
from campaign.doctor import Check
from campaign.errors import BusyError, UsageError
from campaign.preflight import require_ready
from campaign.runs import RunFolder
from campaign.stack.errors import MissingProgramError


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(preflight, "require_reachable", lambda _: None)
    return RunFolder(path=tmp_path / "runs" / "one")


def found(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(preflight, "run_checks", lambda **_: checks)


def test_a_machine_that_has_everything_has_a_sandbox(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, Check(name="bubblewrap", status="ok", found="0.8.0"))
    assert require_ready(run) == ""
    assert not run.path.parent.exists()


def test_a_machine_without_a_sandbox_says_why(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, Check(name="bubblewrap", status="warn", found="needs Linux", advice="x"))
    assert require_ready(run) == "needs Linux"


def test_everything_that_is_missing_is_told_with_how_to_get_it(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(
        monkeypatch,
        Check(name="git", status="missing", found="not on PATH", advice="install git"),
        Check(name="memory", status="warn", found="1 GB free", advice="close something"),
        Check(name="disk", status="missing", found="1 GB free", advice="make room"),
    )
    with pytest.raises(UsageError) as caught:
        require_ready(run)
    assert str(caught.value) == "git: not on PATH; disk: 1 GB free"
    assert caught.value.hint == "install git; make room"


def test_a_full_disk_is_told_before_anything_is_started(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "free_bytes", lambda _: 500_000_000)
    with pytest.raises(UsageError, match=r"disk: 0\.5 GB free") as caught:
        require_ready(run)
    assert "old folders in runs/ can go" in caught.value.hint
    assert not run.path.parent.exists()


@pytest.mark.parametrize(
    "problem",
    ["PostgreSQL 15 or newer is needed, none was found", "only 14.9 in /usr was found"],
)
def test_without_a_fit_postgres_nothing_is_started(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    def missing() -> None:
        raise MissingProgramError(problem, hint="apt-get install postgresql")

    monkeypatch.setattr(doctor, "find_postgres", missing)
    with pytest.raises(UsageError, match=problem) as caught:
        require_ready(run)
    assert caught.value.hint == "apt-get install postgresql"


def test_a_campaign_in_use_is_told_first(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, Check(name="git", status="missing", found="not on PATH", advice="x"))
    run.path.mkdir(parents=True)

    async def hold() -> None:
        async with run_lock(run.path):
            with pytest.raises(BusyError, match="is being played"):
                require_ready(run)

    asyncio.run(hold())
