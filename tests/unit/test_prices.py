"""Prices are dated and sourced; what no table names costs unknown, never nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from operators.prices import Prices, PriceTable, shipped_prices, shipped_table
from operators.trace import TurnUsage
from pydantic import ValidationError

from campaign.errors import UsageError
from campaign.price_files import keep_table, price_file, read_prices, read_table
from tests.trace_kit import OWN_PRICES as OWN


def used(model: str, **tokens: Any) -> TurnUsage:
    return TurnUsage(model=model, **{"input_tokens": 0, "output_tokens": 0, **tokens})


def table(text: str, folder: Path) -> PriceTable:
    file = folder / "prices.yaml"
    file.write_text(text)
    return read_table(file)


def test_each_kind_of_token_has_its_price() -> None:
    usage = used(
        "claude-opus-4-8",
        input_tokens=1_000_000,
        output_tokens=1_000_000,
        cache_read_tokens=1_000_000,
        cache_creation_5m_tokens=1_000_000,
        cache_creation_1h_tokens=1_000_000,
    )
    assert shipped_prices().cost_usd(usage) == pytest.approx(5 + 25 + 0.5 + 6.25 + 10)


def test_a_long_prompt_has_its_own_price_whatever_of_it_was_cached() -> None:
    cost = shipped_prices().cost_usd
    short = used("claude-haiku-5-5", input_tokens=50_000, cache_read_tokens=50_000)
    long = used("claude-haiku-5-5", input_tokens=50_000, cache_read_tokens=50_001)
    assert cost(short) == pytest.approx((50_000 * 0.1 + 50_000 * 0.01) / 1e6)
    assert cost(long) == pytest.approx((50_000 * 0.5 + 50_001 * 0.05) / 1e6)


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-5",
        "claude-opus-4-5-20251101",
        "claude-opus-4-5@20251101",
        "global.anthropic.claude-opus-4-5-20251101-v1:0",
    ],
)
def test_a_model_is_known_by_its_other_names(model: str) -> None:
    assert shipped_prices().cost_usd(used(model, input_tokens=1_000_000)) == 5


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-5-7",
        "claude-opus-4",
        "claude-opus",
        "gpt-5",
        "us.anthropic.claude-opus-4-5-20251101-v1:0",
        "claude-opus-4-5-fast",
        "",
    ],
)
def test_a_model_that_is_not_named_costs_unknown(model: str) -> None:
    found = shipped_prices().cost(used(model, input_tokens=1_000_000))
    assert (found.usd, found.source) == (None, "unknown")


def test_unknown_tokens_cost_unknown() -> None:
    cost = shipped_prices().cost_usd
    assert cost(TurnUsage(model="claude-opus-5")) is None
    assert cost(TurnUsage(model="claude-opus-5", input_tokens=5)) is None
    assert cost(TurnUsage(model="claude-opus-5", output_tokens=5)) is None


def test_what_is_reported_counts_before_any_table() -> None:
    found = shipped_prices().cost(used("claude-opus-5", input_tokens=9, reported_usd=0.5))
    assert (found.usd, found.source) == (0.5, "agent-reported")


def test_the_shipped_table_says_when_and_whence() -> None:
    assert shipped_table().date == "2026-11-12"
    assert "https://platform.claude.com/docs/en/about-claude/pricing" in shipped_table().source


def test_the_shipped_table_names_no_model_twice() -> None:
    names = [model for entry in shipped_table().prices for model in entry.models]
    assert len(names) == len(set(names))


def test_the_first_table_that_names_a_model_counts(tmp_path: Path) -> None:
    prices = Prices((table(OWN, tmp_path), shipped_table()))
    own = prices.cost(used("claude-opus-5", input_tokens=1_000_000))
    shipped = prices.cost(used("claude-opus-4-8", input_tokens=1_000_000))
    assert (own.usd, own.source) == (1, "price-table:2027-01-02")
    assert (shipped.usd, shipped.source) == (5, "price-table:2026-11-12")


def test_a_table_of_ones_own_is_kept_in_the_config_folder(tmp_path: Path) -> None:
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    file = tmp_path / "mine.yaml"
    file.write_text(OWN)
    assert len(read_prices(home).tables) == 1
    assert keep_table(file, home) == tmp_path / "config" / "ratchet" / "prices.yaml"
    assert [each.date for each in read_prices(home).tables] == ["2027-01-02", "2026-11-12"]


def test_a_relative_config_folder_is_none() -> None:
    assert price_file({"XDG_CONFIG_HOME": "here"}) == price_file({})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("input: 1", "input: -1", r"prices\.yaml:6: prices\.0\.tokens\.input: .*not -1"),
        ("input: 1,", "", r"prices\.0\.tokens\.input: is missing; neither read from"),
        ('"2027-01-02"', '"soon"', r"prices\.yaml:2: date: 'soon' is no day"),
        ("source: our", "sauce: our", r"sauce: unknown key; did you mean source"),
        (
            "models: [claude-opus-5, house-model]",
            "models: []",
            r"prices\.yaml:5: prices\.0\.models",
        ),
        ("schema: 1", "schema: 2", r"prices\.yaml:1: schema"),
    ],
)
def test_a_wrong_table_is_refused_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        table(OWN.replace(old, new), tmp_path)


def test_a_wrong_table_does_not_replace_a_right_one(tmp_path: Path) -> None:
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text(OWN)
    wrong.write_text(OWN.replace("schema: 1", "schema: 2"))
    keep_table(right, home)
    with pytest.raises(UsageError):
        keep_table(wrong, home)
    assert price_file(home).read_text() == OWN


def test_half_a_price_for_long_prompts_is_refused() -> None:
    entry = shipped_table().prices[0].model_dump() | {"above_prompt_tokens": 5}
    whole = shipped_table().model_dump(by_alias=True) | {"prices": [entry]}
    with pytest.raises(ValidationError, match="belong together"):
        PriceTable.model_validate(whole)
