from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from operators.prices import shipped_table

from campaign import doctor, preflight
from campaign.adapters.journal import run_lock
from campaign.doctor import Check
from campaign.errors import BusyError, UsageError
from campaign.model import Budget, CampaignBudget, CampaignStarted, OperatorOptions, Plan
from campaign.player import Performance, play
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


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No price table of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "ratchet" / "prices.yaml"


COUNTED = """\
model_api:
  base_url: https://api.example.org
  key: ANTHROPIC_API_KEY
  allow: [POST /v1/messages]
  counts: anthropic
"""


def agent(folder: Path, *, executable: str = "/bin/sh", more: str = COUNTED) -> str:
    """An adapter file."""
    file = folder / "mine.yaml"
    file.write_text(
        f"title: Mine\nexecutable: {executable}\nstdin: '${{prompt}} ${{tools_url}}'\n"
        f"output: text\n{more}"
    )
    return str(file)


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
def test_whoever_insists_lets_anybody_work_without_a_sandbox(
    run: RunFolder, tmp_path: Path
) -> None:
    options = RigOptions(sandbox=False, allow_unsandboxed_operator=True)
    for operator in ("claude", "command", "external"):
        ready(run, plan_of(operator, agent=agent(tmp_path)), options)


@pytest.mark.usefixtures("key")
def test_whoever_plays_a_campaign_without_having_looked_is_stopped_as_well(run: RunFolder) -> None:
    run.path.mkdir(parents=True)
    performance = Performance(run=run, plan=plan_of("claude"), options=RigOptions(sandbox=False))
    with pytest.raises(UsageError, match="operator claude may not work without a sandbox"):
        asyncio.run(play(performance))
    assert not (run.path / "workspace").exists()


def test_asking_for_no_sandbox_is_not_insisting(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="--no-sandbox was given"):
        ready(run, plan_of("external"), RigOptions(sandbox=False))


def test_a_resumed_campaign_is_looked_at_by_its_journal(run: RunFolder) -> None:
    plan = plan_of("external")
    write_run(run.path.parent, run.name, [CampaignStarted(at=1.0, plan=plan)])
    with pytest.raises(UsageError, match="without a sandbox"):
        ready(run, None, RigOptions(sandbox=False))
    ready(run, None, RigOptions())


def refusal(run: RunFolder, plan: Plan, options: RigOptions | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        ready(run, plan, options or RigOptions())
    return caught.value


def test_claude_needs_a_key_from_somewhere(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert "no API key: set ANTHROPIC_API_KEY, or name a file" in str(
        refusal(run, plan_of("claude"))
    )
    file = tmp_path / "key"
    options = RigOptions(api_key_file=file)
    assert "cannot be read" in str(refusal(run, plan_of("claude"), options))
    for text, told in (("", "is empty"), ("two words", "holds no API key")):
        file.write_text(text)
        assert told in str(refusal(run, plan_of("claude"), options))
    file.write_text("some-key")
    ready(run, plan_of("claude"), options)


def test_claude_elsewhere_needs_a_model_and_what_reaches_it(run: RunFolder) -> None:
    asked = plan_of("claude", provider="bedrock", model="us.anthropic.claude-sonnet-4-5")
    if find_spec("boto3") is None:
        assert "pip install 'ratchet[bedrock]'" in str(refusal(run, asked))
    else:
        ready(run, asked, RigOptions())
        assert "choose one by --model" in str(refusal(run, plan_of("claude", provider="bedrock")))


@pytest.mark.usefixtures("key")
def test_an_agent_that_cannot_be_run_is_told_before_anything_is_started(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RigOptions(sandbox=False, allow_unsandboxed_operator=True)

    def told(agent: str, **more: Any) -> str:
        return str(refusal(run, plan_of("command", agent=agent, **more), options))

    ready(run, plan_of("command", agent=agent(tmp_path)), options)
    assert "unknown agent 'claude-cod'; did you mean" in told("claude-cod")
    assert "mine.yaml:5: outptu: unknown key" in told(agent(tmp_path, more="outptu: x\n"))
    assert "is not on PATH" in told(agent(tmp_path, executable="no-such-agent"))
    assert "needs MINE_SETTING: set them" in told(agent(tmp_path, more="needs: [MINE_SETTING]\n"))
    assert "not by vertex" in told(agent(tmp_path), provider="vertex")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert "needs a key for its model: set ANTHROPIC_API_KEY" in told(agent(tmp_path))


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("operator", ["claude", "external"])
def test_a_price_table_that_cannot_be_read_is_told_before_anything_is_started(
    run: RunFolder, config: Path, operator: str
) -> None:
    config.parent.mkdir(parents=True)
    config.write_text("schema: 2\n")
    error = refusal(run, plan_of(operator))
    assert "prices.yaml is no price table" in str(error)
    ready(run, plan_of("reference"), RigOptions())


# -- budgets that cannot be kept ----------------------------------------------------------------

DOLLARS = Budget(usd=2.5)
TOKENS = Budget(tokens=1_000)


def test_what_an_external_operator_spends_is_known_to_nobody(run: RunFolder) -> None:
    for budget in (DOLLARS, TOKENS):
        error = refusal(run, replace(plan_of("external"), budget=budget))
        assert "cannot be kept: an external operator tells nobody what it spends" in str(error)
        assert "--budget-turns" in error.hint
    whole = replace(plan_of("external"), campaign_budget=CampaignBudget(usd=10))
    assert "--campaign-budget-usd 10 cannot be kept" in str(refusal(run, whole))
    ready(run, replace(plan_of("external"), budget=Budget(turns=5, wall_s=60)), RigOptions())


@pytest.mark.usefixtures("key")
def test_money_is_no_budget_for_a_model_that_has_no_price(run: RunFolder, config: Path) -> None:
    unknown = replace(plan_of("claude", model="claude-new-9"), budget=DOLLARS)
    error = refusal(run, unknown)
    assert str(error) == (
        "--budget-usd 2.5 cannot be kept: no price table names the model claude-new-9"
    )
    assert "ratchet operator price --update-from FILE" in error.hint
    assert "--budget-tokens" in error.hint
    ready(run, replace(unknown, budget=TOKENS), RigOptions())
    ready(run, replace(plan_of("claude"), budget=DOLLARS), RigOptions())
    ready(run, replace(plan_of("claude", model="claude-opus-4-5-20251101"), budget=DOLLARS),
          RigOptions())  # fmt: skip
    config.parent.mkdir(parents=True)
    table = shipped_table().model_dump(by_alias=True)
    table["prices"][0]["models"] = ["claude-new-9"]
    config.write_text(json.dumps(table))
    ready(run, unknown, RigOptions())


@pytest.mark.usefixtures("key")
def test_money_is_no_budget_for_an_agent_that_is_not_counted(
    run: RunFolder, tmp_path: Path
) -> None:
    options = RigOptions(sandbox=False, allow_unsandboxed_operator=True)
    uncounted = agent(tmp_path, more="")
    for budget in (DOLLARS, TOKENS):
        error = refusal(run, replace(plan_of("command", agent=uncounted), budget=budget), options)
        assert "what Mine spends is not known while it works" in str(error)
    counted = agent(tmp_path)
    for model in (None, "opus", "claude-opus-5-5"):
        plan = replace(plan_of("command", agent=counted, model=model), budget=DOLLARS)
        ready(run, plan, options)
    unknown = replace(plan_of("command", agent=counted, model="claude-new-9"), budget=DOLLARS)
    assert "no price table names" in str(refusal(run, unknown, options))


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


# -- in the compose stack -----------------------------------------------------------------------


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("operator", ["claude", "external", "reference"])
def test_whose_tools_have_a_container_of_their_own_may_work_in_containers(
    run: RunFolder, operator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STACK", "compose")
    ready(run, plan_of(operator), RigOptions())


def test_a_program_that_would_run_beside_the_harness_may_not(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STACK", "compose")
    said = refusal(run, plan_of("command"))
    assert "beside the harness" in str(said)
    assert "--operator external" in said.hint
