"""What a person types at the prompt, or fills into a form, as a tool's arguments."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from campaign.errors import UsageError
from campaign.joining import Tool
from campaign.joining.form import blank_form, read_form
from campaign.joining.typed import named_arguments, typed_arguments, usage
from campaign.joining.wallet import Wallet, keep_wallet, read_wallet, wallet_file
from tests.seats_kit import SPECS

TOOLS = {
    spec.name: Tool(name=spec.name, description=spec.description, parameters=spec.parameters)
    for spec in SPECS
}


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("sql select 'a b' from t where x = 1", {"query": "select 'a b' from t where x = 1"}),
        ("sql", {}),
        ('sql {"query": "select 1", "max_rows": 5}', {"query": "select 1", "max_rows": 5}),
        ("sql query='select 1' max_rows=5", {"query": "select 1", "max_rows": 5}),
        ("bash X=1 ls | wc -l", {"command": "X=1 ls | wc -l"}),
        ("deploy An index on messages", {"message": "An index on messages"}),
        (
            "http_request GET /healthz timeout_s=2.5",
            {"method": "GET", "path": "/healthz", "timeout_s": 2.5},
        ),
        ("http_request path='/a b' GET", {"path": "/a b", "method": "GET"}),
    ],
)
def test_a_line_is_understood_by_the_tools_own_schema(line: str, arguments: dict[str, Any]) -> None:
    name, _, rest = line.partition(" ")
    assert typed_arguments(TOOLS[name], rest) == arguments


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("sql {'query'", "no JSON"),
        ("http_request GET / twice", "one word too many"),
        ("http_request GET '/", "No closing quotation"),
        ("http_request GET / timeout_s=soon", "'soon' is no number"),
    ],
)
def test_what_cannot_be_understood_is_told_with_how_it_is_used(line: str, problem: str) -> None:
    name, _, rest = line.partition(" ")
    with pytest.raises(UsageError, match=problem) as caught:
        typed_arguments(TOOLS[name], rest)
    assert caught.value.hint == usage(TOOLS[name])


def test_an_argument_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no argument 'rows'") as caught:
        named_arguments(TOOLS["sql"], ["rows=1"])
    assert caught.value.hint == "there are: query, max_rows"


def test_a_tools_usage_is_one_line() -> None:
    assert usage(TOOLS["http_request"]) == "http_request method path [timeout_s=…]"


def test_a_form_left_as_it_is_does_nothing() -> None:
    assert read_form(TOOLS["sql"], blank_form(TOOLS["sql"])) is None


def test_a_form_holds_several_lines() -> None:
    form = blank_form(TOOLS["sql"]).replace("\nquery:", "\nquery: |\n  select 1\n  from t")
    filled = form.replace("#max_rows:", "max_rows: 5")
    assert read_form(TOOLS["sql"], filled) == {"query": "select 1\nfrom t\n", "max_rows": 5}


def test_a_form_that_is_none_any_more_is_told() -> None:
    for text in ("query: [", "- a list"):
        with pytest.raises(UsageError, match="form for sql"):
            read_form(TOOLS["sql"], text)


def test_what_was_given_is_kept_for_its_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url = "http://127.0.0.1:1"
    assert read_wallet(url) == Wallet()
    wallet = Wallet(campaign="one", key="the key", token="the token")  # noqa: S106 - a test's
    previous = os.umask(0)
    try:
        keep_wallet(url, wallet)
    finally:
        os.umask(previous)
    assert read_wallet(f"{url}/") == wallet
    assert stat.S_IMODE(wallet_file(url).stat().st_mode) == 0o600
    assert stat.S_IMODE(wallet_file(url).parent.stat().st_mode) == 0o700
    assert "the key" not in repr(wallet)
    wallet_file(url).write_text("{")
    assert read_wallet(url) == Wallet()
