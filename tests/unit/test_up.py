"""What `docker compose up` plays: what the environment says of it, and what is said back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from campaign.cli import up
from campaign.cli.app import app
from campaign.cli.run import run_campaign
from campaign.cli.up import TOLD, another, asked_by, begin
from campaign.cli.variables import variable_of
from campaign.errors import RatchetError, UsageError
from campaign.host import Host
from campaign.model import Budget, CampaignBudget, Webhook
from campaign.orders import specify
from campaign.rig import RigOptions
from campaign.runs import RunFolder, list_runs

ROOT = Path(__file__).parents[2]
COMPOSE: Mapping[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
#: each with a value that is right
EVERYTHING = {
    "RATCHET_OPERATOR": "claude",
    "RATCHET_LADDER": "missing_index, pool_exhaustion",
    "RATCHET_SEED": "4",
    "RATCHET_MODE": "isolated",
    "RATCHET_MODEL": "claude-opus-5",
    "RATCHET_EFFORT": "high",
    "RATCHET_PERSONA": "informed",
    "RATCHET_MEMORY": "summary",
    "RATCHET_PLAN_MODE": "true",
    "RATCHET_APPROVE": "deploy,sql",
    "RATCHET_BUDGET_WALL": "600",
    "RATCHET_BUDGET_TURNS": "30",
    "RATCHET_BUDGET_TOKENS": "1000000",
    "RATCHET_BUDGET_USD": "2.5",
    "RATCHET_CAMPAIGN_BUDGET_TOKENS": "5000000",
    "RATCHET_CAMPAIGN_BUDGET_USD": "20",
}


def refusal(**environment: str) -> UsageError:
    with pytest.raises(UsageError) as refused:
        asked_by(environment, has_key=True)
    return refused.value


# -- what is asked for ----------------------------------------------------------------------------


def test_without_a_key_the_reference_operator_works_and_it_is_said_why() -> None:
    asked = asked_by({}, has_key=False)
    assert asked.as_asked() == {"operator": "reference"}
    assert "no API key" in asked.why


def test_with_a_key_claude_works_and_it_is_said_why() -> None:
    asked = asked_by({}, has_key=True)
    assert asked.as_asked() == {"operator": "claude"}
    assert "there is an API key" in asked.why


def test_who_is_named_works() -> None:
    assert asked_by({"RATCHET_OPERATOR": "history"}, has_key=True).order.operator == "history"


def test_what_compose_passes_on_empty_is_not_said() -> None:
    assert asked_by(dict.fromkeys(EVERYTHING, ""), has_key=False).as_asked() == {
        "operator": "reference"
    }


def test_all_that_can_be_said_is_in_the_campaign() -> None:
    spec = specify(asked_by(EVERYTHING, has_key=False).order)
    assert (spec.operator, spec.seed, spec.mode) == ("claude", 4, "isolated")
    assert [profile.id for profile in spec.profiles] == ["missing_index", "pool_exhaustion"]
    options = spec.operator_options
    assert (options.model, options.effort) == ("claude-opus-5", "high")
    assert (options.persona, options.memory) == ("informed", "summary")
    assert (options.plan_mode, options.approve) == (True, ("deploy", "sql"))
    assert spec.budget == Budget(wall_s=600, turns=30, tokens=1_000_000, usd=2.5)
    assert spec.campaign_budget == CampaignBudget(tokens=5_000_000, usd=20)


def test_the_compose_file_passes_on_all_of_it_and_nothing_else() -> None:
    assert set(EVERYTHING) == {variable_of(name) for name in TOLD}
    passed = COMPOSE["services"]["campaign"]["environment"]
    stacks_own = {"RATCHET_RUNS", "RATCHET_CACHE", "RATCHET_LOAD_WORKERS"}
    of_all_that_is_played = {"RATCHET_WEBHOOK", "RATCHET_WEBHOOK_SECRET_FILE"}
    ours = {name for name in passed if name.startswith("RATCHET_")}
    ours -= stacks_own | of_all_that_is_played
    assert {name for name in ours if not name.endswith("_PORT")} == set(EVERYTHING)


def test_the_values_in_the_example_are_right() -> None:
    lines = re.findall(r"^#(RATCHET_\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    told = {name: text for name, text in lines if name in EVERYTHING}
    assert set(told) == set(EVERYTHING)
    # The one that it names cannot promise to wait for anybody.
    specify(asked_by({**told, "RATCHET_OPERATOR": "claude"}, has_key=False).order)


@pytest.mark.parametrize(
    ("name", "text", "must"),
    [
        ("RATCHET_OPERATOR", "clade", "it must be reference, history, none, claude"),
        ("RATCHET_SEED", "x", "it must be a valid integer"),
        ("RATCHET_SEED", "-1", "it must be greater than or equal to 0"),
        ("RATCHET_MODE", "apart", "it must be 'continuous' or 'isolated'"),
        ("RATCHET_EFFORT", "much", "it must be 'low', 'medium', 'high', 'xhigh' or 'max'"),
        ("RATCHET_PERSONA", "kind", "it must be 'baseline' or 'informed'"),
        ("RATCHET_MEMORY", "good", "it must be 'none', 'history' or 'summary'"),
        ("RATCHET_PLAN_MODE", "maybe", "it must be true or false"),
        ("RATCHET_BUDGET_TURNS", "2.5", "it must be a valid integer"),
        ("RATCHET_BUDGET_USD", "$3", "it must be a valid number"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(name: str, text: str, must: str) -> None:
    assert f"{name}={text}: {must}" in str(refusal(**{name: text}))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    told = str(refusal(RATCHET_SEED="x", RATCHET_EFFORT="much"))
    assert "RATCHET_SEED=x" in told
    assert "RATCHET_EFFORT=much" in told


def test_nothing_can_be_replayed_before_anything_was_played() -> None:
    refused = refusal(RATCHET_OPERATOR="replay")
    assert "no campaign yet" in str(refused)
    assert "campaign run --operator replay --recording CAMPAIGN" in refused.hint


# -- what is done and said ------------------------------------------------------------------------


@dataclass(kw_only=True)
class FakeHost:
    root: Path
    refuses: RatchetError | None = None
    asked: list[Any] = field(default_factory=list)

    async def start(self, order: Mapping[str, Any]) -> str:
        self.asked.append(order)
        if self.refuses is not None:
            raise self.refuses
        return "one"

    async def resume(self, name: str) -> None:
        self.asked.append(name)


async def said_by_up(host: FakeHost, capsys: pytest.CaptureFixture[str], **environment: str) -> str:
    await begin(cast("Host", host), environment, has_key=False)
    return capsys.readouterr().err


async def test_the_first_time_it_begins_what_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = FakeHost(root=tmp_path)
    said = await said_by_up(host, capsys, RATCHET_OPERATOR="external", RATCHET_BUDGET_WALL="60")
    assert host.asked == [{"operator": "external", "budget": {"wall_s": 60.0}}]
    assert "operator external: RATCHET_OPERATOR names it" in said
    assert "campaign one begins" in said


async def test_a_wrong_value_is_said_and_the_pages_stay_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = FakeHost(root=tmp_path)
    assert "RATCHET_EFFORT=much" in await said_by_up(host, capsys, RATCHET_EFFORT="much")
    assert host.asked == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("RATCHET_BUDGET_USD", "-1", "RATCHET_BUDGET_USD -1: it must be more than 0"),
        ("RATCHET_CAMPAIGN_BUDGET_TOKENS", "0", "RATCHET_CAMPAIGN_BUDGET_TOKENS 0: it must be"),
        ("RATCHET_APPROVE", "deplo", "RATCHET_APPROVE: there is no tool 'deplo'"),
    ],
)
async def test_what_is_checked_as_an_option_is_told_of_the_variable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, told: str
) -> None:
    host = FakeHost(root=tmp_path)
    assert told in await said_by_up(host, capsys, **{name: text})
    assert host.asked == []


async def test_a_refusal_of_the_host_is_told_of_the_variables_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = UsageError(
        "--budget-usd 3 cannot be kept: nobody tells", hint="bound it by --budget-wall instead"
    )
    host = FakeHost(root=tmp_path, refuses=refused)
    said = await said_by_up(host, capsys, RATCHET_OPERATOR="external", RATCHET_BUDGET_USD="3")
    assert "RATCHET_BUDGET_USD 3 cannot be kept" in said
    assert "bound it by RATCHET_BUDGET_WALL instead" in said
    assert "it was told RATCHET_OPERATOR=external RATCHET_BUDGET_USD=3" in said


async def test_a_wrong_webhook_is_told_of_by_its_variable_and_the_pages_stay_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = RigOptions(webhook=Webhook(url="pager.example/ratchet"))
    async with Host(tmp_path, options=options) as host:
        await begin(host, {}, has_key=False)
        said = capsys.readouterr().err
    assert "RATCHET_WEBHOOK: expected http:// or https:// and a host" in said
    assert "pager" not in said
    assert list_runs(tmp_path) == []


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A campaign of before."""
    run = RunFolder(path=tmp_path / "past")
    run.path.mkdir()
    run.journal_file.write_text("")

    async def finished(_: RunFolder) -> bool:
        return True

    monkeypatch.setattr(up, "_is_finished", finished)
    return run


async def test_a_finished_campaign_is_not_played_again_unasked(
    played: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    host = FakeHost(root=played.path.parent)
    said = await said_by_up(host, capsys, RATCHET_OPERATOR="external")
    assert "campaign past is finished" in said
    assert "another one: docker compose run --rm campaign run --operator external\n" in said
    assert host.asked == []


async def test_one_that_was_cut_short_goes_on_as_it_began(
    played: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def is_finished(_: RunFolder) -> bool:
        return False

    monkeypatch.setattr(up, "_is_finished", is_finished)
    host = FakeHost(root=played.path.parent)
    said = await said_by_up(host, capsys, RATCHET_OPERATOR="external")
    assert host.asked == ["past"]
    assert "goes on where it was cut short, as it was asked for then" in said


def test_the_command_for_another_one_says_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Since commands do not look there."""
    words = shlex.split(another(EVERYTHING, "past", has_key=False))
    assert words[:6] == ["docker", "compose", "run", "--rm", "campaign", "run"]
    played: list[Any] = []

    def play(order: Any, **_: object) -> None:
        played.append(order)

    monkeypatch.setattr(f"{run_campaign.__module__}._play", play)
    done = CliRunner().invoke(app, words[5:])
    assert done.exit_code == 0, done.output
    assert played == [replace(asked_by(EVERYTHING, has_key=False).order, first=None)]


def test_what_was_played_can_be_replayed() -> None:
    told = another({"RATCHET_OPERATOR": "replay"}, "past", has_key=False)
    assert told.endswith("campaign run --operator replay --recording past")
