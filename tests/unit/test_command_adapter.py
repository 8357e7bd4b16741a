from __future__ import annotations

from pathlib import Path

import pytest
from operators.command import AdapterError, load_adapter, preset_names, read_adapter
from operators.command.adapter import PLACEHOLDERS
from operators.command.template import fill, fill_arguments

GOOD = """\
title: Mine
executable: mine
arguments:
  - --go
  - [--model, "${model}"]
  - ["--tools=${tools_url}"]
stdin: "${prompt}"
output: generic-jsonl
"""


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(AdapterError) as caught:
        read_adapter(file)
    return str(caught.value)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_valid_adapter_that_keeps_the_key_outside(name: str) -> None:
    adapter = load_adapter(name)
    assert adapter.model_api is not None
    assert adapter.environment[adapter.model_api.key] == "placeholder"
    assert adapter.needs == ()
    assert not adapter.in_arguments


def test_there_are_presets_for_three_agents() -> None:
    assert preset_names() == ("claude-code", "codex", "gemini")


def test_claude_code_gets_our_tools_and_none_of_its_own() -> None:
    arguments = load_adapter("claude-code").arguments
    values = dict.fromkeys(PLACEHOLDERS, "x") | {"max_usd": "2.5000", "model": None}
    words = fill_arguments(arguments, values)
    assert words[words.index("--tools") + 1] == ""
    assert words[words.index("--max-budget-usd") + 1] == "2.5000"
    assert "--strict-mcp-config" in words
    assert "--model" not in words


def test_an_adapter_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD)
    assert load_adapter(str(file)).title == "Mine"


def test_an_unknown_agent_is_told_what_there_is() -> None:
    with pytest.raises(AdapterError, match="did you mean claude-code") as caught:
        load_adapter("claude-cod")
    assert "path of its adapter file" in str(caught.value)


def test_a_mistake_is_told_with_file_line_and_field(tmp_path: Path) -> None:
    message = refused(tmp_path, GOOD + "enviroment: {}\n")
    assert (
        f"{tmp_path / 'mine.yaml'}:9: enviroment: unknown key; did you mean environment" in message
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("output: xml\n", "output: should be 'claude-stream-json'"),
        ("files: {/etc/passwd: x}\n", "must be a path below the agent's home"),
        ("files: {a/../../b: x}\n", "must be a path below the agent's home"),
        ("mounts: [opt/x]\n", "must be an absolute path"),
        ('environment: {A: "${secret}"}\n', "${secret} means nothing"),
        ("environment: {A-B: x}\n", "environment"),
        ("model_api: {base_url: ftp://x, key: K, allow: [POST /v1]}\n", "base_url"),
        ("model_api: {base_url: https://x, key: K, allow: []}\n", "allow"),
        ("model_api: {base_url: https://x, key: K, allow: [/v1]}\n", "must be a method and a path"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, line: str, message: str) -> None:
    text = GOOD.replace("output: generic-jsonl\n", "") if line.startswith("output") else GOOD
    assert message in refused(tmp_path, text + line)


def test_an_agent_must_hear_of_its_ticket_and_of_its_tools(tmp_path: Path) -> None:
    assert "never told of its ticket" in refused(tmp_path, GOOD.replace("${prompt}", ""))
    assert "where its tools are" in refused(tmp_path, GOOD.replace("${tools_url}", ""))


def test_the_models_key_is_never_handed_to_the_agent(tmp_path: Path) -> None:
    api = "model_api: {base_url: https://x, key: THE_KEY, allow: [POST /v1]}\n"
    message = refused(tmp_path, GOOD + api + "needs: [THE_KEY]\n")
    assert "adds it outside the sandbox" in message


def test_a_group_of_words_goes_when_a_name_in_it_has_no_value() -> None:
    arguments = ("a", ("--model", "${model}"), "x${effort}y", ("--home", "${home}/f"))
    values = {"model": None, "effort": None, "home": "/h"}
    assert fill_arguments(arguments, values) == ("a", "xy", "--home", "/h/f")


def test_a_value_is_never_filled_in_twice() -> None:
    values = {"ticket": "it says ${role}", "role": "secret"}
    assert fill("${ticket}!", values) == "it says ${role}!"
