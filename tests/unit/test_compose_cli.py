"""`--stack compose`, and what `docker compose up` decides by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaign.cli.containers import redirect
from campaign.cli.up import choose_operator, order_of
from campaign.errors import UsageError

PROJECT = Path("/srv/ratchet/docker-compose.yml")
BASE = ("docker", "compose", "--file", str(PROJECT), "run", "--rm")


def test_the_same_command_is_run_in_the_container() -> None:
    words = ["trial", "missing_index", "--stack", "compose", "--seed", "3"]
    told = redirect(words, project=PROJECT)
    assert told.argv == (*BASE, "--no-TTY", "campaign", "trial", "missing_index", "--seed", "3")


def test_the_option_may_be_one_word_and_a_terminal_is_kept() -> None:
    told = redirect(["run", "--stack=compose"], project=PROJECT, is_terminal=True)
    assert told.argv == (*BASE, "campaign", "run")


def test_a_campaign_file_is_taken_along(tmp_path: Path) -> None:
    file = tmp_path / "night.yaml"
    file.write_text("target: chat_db_app\n")
    told = redirect(["run", str(file), "--stack", "compose"], project=PROJECT)
    inside = "/run/ratchet/given/night.yaml"
    mount = ("--volume", f"{file}:{inside}:ro")
    assert told.argv == (*BASE, "--no-TTY", *mount, "campaign", "run", inside)


@pytest.mark.parametrize("words", [["--runs", "/x"], ["--runs=/x"], ["--api-key-file", "k"]])
def test_what_the_container_does_not_have_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="of no use with --stack compose"):
        redirect(["run", "--stack", "compose", *words], project=PROJECT)


def test_without_a_key_the_reference_operator_works_and_it_is_said_why() -> None:
    chosen = choose_operator(None, has_key=False)
    assert chosen.operator == "reference"
    assert "no API key" in chosen.why


def test_with_a_key_claude_works_and_it_is_said_why() -> None:
    chosen = choose_operator(None, has_key=True)
    assert chosen.operator == "claude"
    assert "there is an API key" in chosen.why


def test_who_is_named_works() -> None:
    assert choose_operator("history", has_key=True).operator == "history"


def test_only_what_was_said_is_ordered() -> None:
    assert order_of("reference", profiles="", seed="") == {"operator": "reference"}
    asked = order_of("none", profiles="missing_index, pool_exhaustion", seed="4")
    assert asked == {
        "operator": "none",
        "profiles": ["missing_index", "pool_exhaustion"],
        "seed": 4,
    }


def test_a_seed_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="RATCHET_SEED=x"):
        order_of("reference", profiles="", seed="x")
