from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from campaign import doctor, preflight
from campaign.adapters.journal import run_lock
from campaign.doctor import Check
from campaign.errors import BusyError, UsageError
from campaign.model import CampaignStarted, OperatorOptions, Plan
from campaign.preflight import require_operator_ready, require_ready
from campaign.rig import RigOptions
from campaign.runs import RunFolder
from campaign.stack.errors import MissingProgramError
from campaign.testing import make_plan
from tests.runs_kit import write_run


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


# -- the operator -------------------------------------------------------------------------------


def ready(run: RunFolder, plan: Plan | None, options: RigOptions, no_sandbox: str = "") -> None:
    asyncio.run(require_operator_ready(run, plan, options, no_sandbox=no_sandbox))


def plan_of(operator: str, **options: Any) -> Plan:
    return replace(make_plan(1, operator=operator), operator_options=OperatorOptions(**options))


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "some-key")


@pytest.mark.parametrize("operator", ["claude", "command", "external", "replay"])
def test_without_a_sandbox_only_what_is_written_down_may_work(
    run: RunFolder, operator: str
) -> None:
    with pytest.raises(UsageError) as caught:
        ready(run, plan_of(operator), RigOptions(sandbox=False), "bwrap is not on PATH")
    assert f"operator {operator} may not work without a sandbox (bwrap is not on PATH)" in str(
        caught.value
    )
    assert "apt-get install bubblewrap" in caught.value.hint
    assert "--allow-unsandboxed-operator" in caught.value.hint
    assert not run.path.exists()


@pytest.mark.parametrize("operator", ["reference", "history", "none"])
def test_what_is_written_down_may_work_without_a_sandbox(run: RunFolder, operator: str) -> None:
    ready(run, plan_of(operator), RigOptions(sandbox=False))


@pytest.mark.usefixtures("key")
def test_whoever_insists_lets_anybody_work_without_a_sandbox(run: RunFolder) -> None:
    options = RigOptions(sandbox=False, allow_unsandboxed_operator=True)
    for operator in ("claude", "command", "external"):
        ready(run, plan_of(operator), options)


def test_asking_for_no_sandbox_is_not_insisting(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="--no-sandbox was given"):
        ready(run, plan_of("external"), RigOptions(sandbox=False))


def test_a_resumed_campaign_is_looked_at_by_its_journal(run: RunFolder) -> None:
    plan = plan_of("external")
    write_run(run.path.parent, run.name, [CampaignStarted(at=1.0, plan=plan)])
    with pytest.raises(UsageError, match="without a sandbox"):
        ready(run, None, RigOptions(sandbox=False))
    ready(run, None, RigOptions())


def test_claude_needs_a_key_from_somewhere(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError) as caught:
        ready(run, plan_of("claude"), RigOptions())
    assert "--api-key-file" in caught.value.hint
    with pytest.raises(UsageError, match="cannot be read"):
        ready(run, plan_of("claude"), RigOptions(api_key_file=tmp_path / "none"))
    file = tmp_path / "key"
    file.write_text("some-key")
    ready(run, plan_of("claude"), RigOptions(api_key_file=file))
    ready(run, plan_of("claude", provider="bedrock"), RigOptions())


@pytest.mark.parametrize("recording", ["missing", "../runs/past", "/tmp", ".", ""])  # noqa: S108
def test_what_is_played_again_must_be_a_campaign_beside_it(run: RunFolder, recording: str) -> None:
    write_run(run.path.parent, "past", [CampaignStarted(at=1.0, plan=make_plan(1))])
    with pytest.raises(UsageError, match="to play again"):
        ready(run, plan_of("replay", recording=recording), RigOptions())
    ready(run, plan_of("replay", recording="past"), RigOptions())


def test_no_operator_with_tools_works_in_a_folder_that_is_called_after_a_profile(
    run: RunFolder,
) -> None:
    plan = plan_of("external")
    profile = replace(plan.profiles[0], id="stale_cache")
    plan = replace(plan, profiles=(profile,))
    named = RunFolder(path=run.path.parent / "try-Stale-Cache-2")
    with pytest.raises(UsageError, match="says the name of the profile stale_cache"):
        ready(named, plan, RigOptions())
    ready(run, plan, RigOptions())
    ready(named, replace(plan, operator="reference"), RigOptions())
