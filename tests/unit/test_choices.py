"""What can be chosen of an operator, from every place where it can be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from campaign.api_order import read_order
from campaign.choices import Choices, require_sound
from campaign.cli.operator_options import OperatorArguments
from campaign.errors import UsageError
from campaign.model import Budget, CampaignBudget, OperatorOptions
from campaign.orders import Order, estimated_cost, specify
from campaign.testing import make_plan

CHOSEN = Choices(
    model="some-model",
    effort="high",
    persona="informed",
    memory="none",
    plan_mode=True,
    approve=("deploy", "resolve"),
    base_url="http://127.0.0.1:8080/v1",
    budget_wall_s=600.0,
    budget_turns=40,
    campaign_budget_usd=5.0,
)
FILE = """\
target: chat_db_app
operator: claude
operator_options: {model: of-the-file, effort: low, approve: [deploy], plan_mode: true}
budget: {wall_s: 60, usd: 2}
campaign_budget: {tokens: 1000}
"""


def sound(choices: Choices) -> None:
    require_sound(
        choices.options(OperatorOptions()),
        choices.budget(Budget()),
        choices.campaign_budget(CampaignBudget()),
    )


def refusal(order: Order) -> UsageError:
    with pytest.raises(UsageError) as caught:
        specify(order)
    return caught.value


def test_nothing_chosen_leaves_the_defaults() -> None:
    plan = specify(Order(operator="claude")).plan("x")
    assert plan.operator_options == OperatorOptions()
    assert (plan.budget, plan.campaign_budget) == (Budget(), CampaignBudget())


def test_what_was_chosen_is_in_the_plan() -> None:
    plan = specify(Order(operator="claude", choices=CHOSEN)).plan("x")
    assert plan.operator_options == OperatorOptions(
        model="some-model",
        effort="high",
        persona="informed",
        memory="none",
        plan_mode=True,
        approve=("deploy", "resolve"),
        base_url="http://127.0.0.1:8080/v1",
    )
    assert plan.budget == Budget(wall_s=600.0, turns=40)
    assert plan.campaign_budget == CampaignBudget(usd=5.0)


def test_a_file_chooses_and_options_overrule_it_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(FILE)
    spec = specify(Order(file=file))
    assert spec.operator_options == OperatorOptions(
        model="of-the-file", effort="low", approve=("deploy",), plan_mode=True
    )
    spec = specify(Order(file=file, choices=Choices(model="mine", budget_turns=3)))
    assert (spec.operator_options.model, spec.operator_options.effort) == ("mine", "low")
    assert spec.budget == Budget(wall_s=60.0, turns=3, usd=2.0)
    assert spec.campaign_budget == CampaignBudget(tokens=1000)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("operator_options: {approve: [deplo]}", "operator_options.approve.0"),
        ("operator_options: {api_key: x}", "operator_options.api_key: unknown key"),
        ("operator_options: {persona: rude}", "operator_options.persona"),
        ("campaign_budget: {usd: 0}", "campaign_budget.usd"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(
    tmp_path: Path, line: str, told: str
) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(f"target: chat_db_app\noperator: claude\n{line}\n")
    assert f":3: {told}" in str(refusal(Order(file=file)))


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        (Choices(approve=("deplo",)), "there is no tool 'deplo'"),
        (Choices(base_url="ftp://x"), "expected http:// or https://"),
        (Choices(base_url="https://"), "expected http:// or https://"),
        (Choices(base_url="http://[broken"), "expected http:// or https://"),
        (Choices(base_url="https://me:secret@example.org"), "must not hold a user"),
        (Choices(base_url="https://example.org/?key=secret"), "must not hold a user"),
        (Choices(base_url="https://example.org/#secret"), "must not hold a user"),
        (Choices(budget_wall_s=0), "--budget-wall 0: it must be more than 0"),
        (Choices(budget_turns=-1), "--budget-turns -1"),
        (Choices(budget_usd=float("nan")), "--budget-usd nan"),
        (Choices(budget_usd=float("inf")), "--budget-usd inf"),
        (Choices(campaign_budget_tokens=0), "--campaign-budget-tokens 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(choices: Choices, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        sound(choices)
    assert told in str(caught.value)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_what_cannot_be_meant_is_refused_before_anything_is_started() -> None:
    assert "no tool" in str(refusal(Order(operator="claude", choices=Choices(approve=("x",)))))


def test_the_limits_of_a_sound_choice_are_no_problem() -> None:
    require_sound(
        OperatorOptions(base_url="https://example.org:8443/anthropic", approve=("deploy", "sql")),
        Budget(wall_s=0.5, turns=1),
        CampaignBudget(usd=0.01),
    )


def test_a_replayed_campaign_must_be_named() -> None:
    error = refusal(Order(operator="replay"))
    assert "--recording" in error.hint
    chosen = Choices(recording="20260101-000000-chat-db-app")
    assert specify(Order(operator="replay", choices=chosen)).operator == "replay"


@pytest.mark.parametrize("choices", [Choices(), CHOSEN], ids=["nothing", "much"])
def test_an_order_comes_out_of_the_api_as_it_went_in(choices: Choices) -> None:
    order = Order(operator="claude", first=2, choices=choices)
    sent = json.loads(json.dumps({**order.as_asked(), "name": "x"}))
    assert read_order(sent).order == order


def test_only_what_was_chosen_goes_over_the_api() -> None:
    order = Order(choices=Choices(budget_usd=1.0, approve=("deploy",)))
    assert order.as_asked() == {
        "operator_options": {"approve": ("deploy",)},
        "budget": {"usd": 1.0},
    }


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"operator_options": {"api_key_file": "/etc/passwd"}}, "operator_options.api_key_file"),
        ({"api_key_file": "/etc/passwd"}, "api_key_file"),
        ({"allow_unsandboxed_operator": True}, "allow_unsandboxed_operator"),
        ({"operator_options": {"approve": ["sudo"]}}, "operator_options.approve.0"),
        ({"budget": {"usd": "1"}}, "budget.usd"),
        ({"campaign_budget": {"usd": 0}}, "campaign_budget.usd"),
    ],
)
def test_the_api_refuses_what_is_not_for_it_to_say(body: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_order(body)
    assert told in str(caught.value)


def test_the_command_line_keeps_the_key_out_of_the_choices(tmp_path: Path) -> None:
    arguments = OperatorArguments(
        operator="claude", approve="deploy, resolve", budget_wall=9.0, api_key_file=tmp_path
    )
    assert arguments.choices == Choices(approve=("deploy", "resolve"), budget_wall_s=9.0)


@pytest.mark.parametrize(
    ("operator", "usd", "told"),
    [
        ("reference", 0.0, "no cost"),
        ("history", 0.0, "no cost"),
        ("none", 0.0, "no cost"),
        ("replay", 0.0, "no cost"),
        ("claude", None, "cost unknown, at most $5.00 (the campaign's budget)"),
        ("command", None, "cost unknown, at most $5.00 (the campaign's budget)"),
        ("external", None, "cost not counted"),
    ],
)
def test_what_it_will_cost_is_only_said_when_it_is_known(
    operator: str, usd: float | None, told: str
) -> None:
    plan = replace(make_plan(1, operator=operator), campaign_budget=CampaignBudget(usd=5.0))
    cost = estimated_cost(plan)
    assert (cost.usd, cost.told) == (usd, told)


def test_without_a_budget_the_cost_of_a_model_is_plainly_unknown() -> None:
    assert estimated_cost(make_plan(1, operator="claude")).told == "cost unknown"


def test_an_adapter_file_is_known_wherever_its_campaign_is_played_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Choices(agent="./mine.yaml").as_asked()
    assert asked["operator_options"]["agent"] == f"{tmp_path}/mine.yaml"
    monkeypatch.chdir("/")
    assert Choices.of(asked).options(OperatorOptions()).agent == f"{tmp_path}/mine.yaml"
    assert Choices(agent="codex").as_asked()["operator_options"]["agent"] == "codex"


def test_an_adapter_file_that_a_campaign_file_names_lies_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "target: chat_db_app\noperator: command\noperator_options: {agent: agents/mine.yaml}\n"
    )
    assert specify(Order(file=file)).operator_options.agent == f"{tmp_path}/agents/mine.yaml"
    preset = tmp_path / "preset.yaml"
    preset.write_text("target: chat_db_app\noperator: command\n")
    assert specify(Order(file=preset)).operator_options.agent == "claude-code"
