"""What the pages print exists: commands and options of all, tools and tables of operators'."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from operators.briefing import memory
from operators.briefing.ticket import ticket_text
from operators.claude.settings import DEFAULT_MODEL
from operators.command import AgentAdapter, preset_names
from operators.command.adapter import PLACEHOLDERS
from operators.command.streams import Format
from operators.toolbox.arguments import parse
from operators.toolbox.catalogue import TOOLS
from operators.toolbox.pace import Pace
from ruamel.yaml import YAML

from campaign.cli import containers, exit_codes
from campaign.cli.app import app
from campaign.model import Budget, Memory, Persona, Provider, SessionOutcome, Symptom, Ticket
from campaign.orders import OPERATORS, params_models
from campaign.price_files import read_table
from chaos_profiles import load_campaign
from tests.docs_kit import (
    DOCS,
    ROOT,
    CommandLine,
    blocks,
    command_lines,
    first_column,
    pages,
    rows,
)

README = ROOT / "README.md"
OPERATORS_PAGE = DOCS / "operators.md"
#: that the pages' commands name, and that have to be there when an option is read
_FILES = (
    "anthropic.key",
    "new.key",
    "edit.json",
    "prices.yaml",
    "seat.token",
    "oncall.yaml",
    "webhook.secret",
)


_EVERY_COMMAND = [
    pytest.param(line, id=f"{page.name}: {line}")
    for page in pages()
    for line in command_lines(page)
]


@pytest.mark.parametrize("line", _EVERY_COMMAND)
def test_a_command_can_be_given_as_it_is_printed(
    line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To read `--stack compose` is to become docker, with all that it then starts.
    monkeypatch.setattr(containers, "_become", lambda _: None)
    monkeypatch.chdir(tmp_path)
    for name in _FILES:
        (tmp_path / name).touch()
    words = [word.replace("$PWD/", "") for word in line.words]
    command: Any = typer.main.get_command(app)
    if words and words[0] == "--profiles-dir":
        words = words[2:]
    while hasattr(command, "commands") and words and not words[0].startswith("--"):
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    # Running text speaks of commands without arguments, and of options without a command.
    is_named_only = line.is_mention and (not words or line.words[0].startswith("--"))
    if not (is_named_only or "--help" in words or hasattr(command, "commands")):
        command.make_context("ratchet", words, obj=words)


def test_there_are_commands_to_look_at() -> None:
    assert len(command_lines(README)) > 5
    assert len(command_lines(OPERATORS_PAGE)) > 30
    words = {line.words[:2] for line in command_lines(OPERATORS_PAGE)}
    assert ("operator", "wait") in words  # in the condition of a loop
    assert ("operator", "mcp") in words  # behind a client's own command


@pytest.mark.parametrize("row", rows(README, "| command | what it does |"))
def test_the_table_of_commands_names_commands_and_options(row: Sequence[str]) -> None:
    names, about = row[0].replace("\\|", "|"), row[1]
    root: Any = typer.main.get_command(app)
    for name in re.findall(r"`([^`]+)`", names):
        first, _, rest = name.partition(" ")
        command = root.commands[first]
        subcommands = getattr(command, "commands", {})
        assert {each.split()[0] for each in rest.split("|") if subcommands} <= set(subcommands)
        known = {option for each in command.params for option in each.opts}
        assert set(re.findall(r"--[a-z-]+", about)) <= known


@pytest.mark.parametrize("page", [README, OPERATORS_PAGE], ids=lambda page: page.name)
def test_every_operator_is_in_the_table_and_no_other(page: Path) -> None:
    heading = next(
        line for line in page.read_text().splitlines() if line.startswith("| `--operator` |")
    )
    assert sorted(first_column(page, heading)[: len(OPERATORS)]) == sorted(OPERATORS)


def test_every_tool_is_in_the_table_in_the_order_in_which_it_is_offered() -> None:
    assert first_column(OPERATORS_PAGE, "| tool | |") == tuple(tool.name for tool in TOOLS)


def test_a_call_of_a_tool_has_the_arguments_that_the_tool_takes() -> None:
    tools = {tool.name: tool for tool in TOOLS}
    tried = 0
    for line in command_lines(OPERATORS_PAGE):
        if line.words[:2] != ("operator", "tools") or line.words[3:4] not in {
            ("--json",),
            ("--arg",),
        }:
            continue
        name, kind, value = line.words[2:5]
        if value == "-":
            continue
        given = json.loads(value) if kind == "--json" else dict([value.split("=", 1)])
        parse(tools[name], given)
        tried += 1
    assert tried >= 3


def test_the_ticket_is_what_an_operator_reads() -> None:
    opened_at = 1_795_260_125.0
    symptom = Symptom(
        invariant="history_latency",
        title="Opening a conversation's history takes longer than 100 ms",
        value=0.975,
        limit=0.05,
        since=opened_at - 1.1,
        unit="ratio",
        operations=("list_messages",),
    )
    ticket = Ticket(id="T001", opened_at=opened_at, symptoms=(symptom,), offered_hz=25.6, users=32)
    assert ticket_text(ticket).strip() in [text.strip() for text in blocks(OPERATORS_PAGE, "")]


def test_a_campaign_file_that_is_printed_is_one(tmp_path: Path) -> None:
    files = [*blocks(README, "yaml"), *blocks(OPERATORS_PAGE, "yaml")]
    assert len(files) == 2
    for number, text in enumerate(files):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        load_campaign(file, models_of=params_models)


def test_the_price_table_that_is_printed_is_one(tmp_path: Path) -> None:
    (text,) = blocks(DOCS / "traces.md", "yaml")
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    assert read_table(file).date == YAML(typ="safe").load(text)["date"]


def test_every_key_and_every_name_of_an_adapter_is_told() -> None:
    text = OPERATORS_PAGE.read_text()
    assert set(first_column(OPERATORS_PAGE, "| key | |")) == set(AgentAdapter.model_fields)
    assert set(first_column(OPERATORS_PAGE, "| preset | what it is | tried |")) == set(
        preset_names()
    )
    assert set(re.findall(r"`\$\{(\w+)\}`", text)) == PLACEHOLDERS
    for name in get_args(Format):
        assert f"`{name}`" in text


def test_every_outcome_and_every_exit_code_is_told() -> None:
    outcomes = first_column(OPERATORS_PAGE, "| outcome | when | then |")
    assert outcomes == tuple(SessionOutcome)
    heading = "| exit code of `run`, `trial`, `replay`, `resume` | |"
    _, _, table = OPERATORS_PAGE.read_text().partition(heading)
    told = re.findall(r"^\| (\d+) \|", table.partition("\n\n")[0], re.MULTILINE)
    codes = {value for name, value in vars(exit_codes).items() if name.startswith("EXIT_")}
    assert {int(code) for code in told} == codes


def test_every_choice_of_an_option_is_told() -> None:
    text = OPERATORS_PAGE.read_text()
    assert set(first_column(OPERATORS_PAGE, "| `--memory` | |")) == set(get_args(Memory))
    for persona in get_args(Persona):
        assert f"`--persona {persona}`" in text
    providers = [name for name in first_column(DOCS / "claude.md", _PROVIDERS) if "-" not in name]
    assert providers == list(get_args(Provider))


_PROVIDERS = "| `--provider` | key | model |"


def test_amounts_that_are_told_are_those_of_the_code() -> None:
    text = OPERATORS_PAGE.read_text()
    assert f"{memory.PRIOR_CHARS:,} characters" in text
    assert Budget().wall_s == 1800  # "half an hour"
    assert f"{Pace().burst:.0f} calls at once" in text
    assert Pace().per_s == 2  # "two a second"
    assert f"`{DEFAULT_MODEL}`" in (DOCS / "claude.md").read_text()
