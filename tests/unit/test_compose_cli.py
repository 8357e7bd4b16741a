"""`--stack compose`: the same command, in a container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.cli.containers import accompany, redirect
from campaign.errors import UsageError

PROJECT = Path("/srv/ratchet/docker-compose.yml")
BASE = ("docker", "compose", "--file", str(PROJECT), "run", "--rm", "--name", "ratchet-campaign")


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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("webhook: {url: 'https://p.example', secret_file: s}\n", "webhook.secret_file is not in"),
        ("operator_options: {agent: ./mine.yaml}\n", "operator_options.agent is a file"),
    ],
)
def test_a_campaign_file_that_names_another_is_refused_with_what_to_do(
    tmp_path: Path, content: str, problem: str
) -> None:
    """Only the file itself is mounted: what is beside it is its user's."""
    file = tmp_path / "night.yaml"
    file.write_text(f"target: chat_db_app\n{content}")
    with pytest.raises(UsageError, match=problem) as refused:
        redirect(["run", str(file), "--stack", "compose"], project=PROJECT)
    assert "in .env" in refused.value.hint or "docs/compose.md" in refused.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "webhook: {url: 'https://p.example'}\n",
        "operator_options: {agent: claude-code}\n",
        "webhook: of no use\n",
        "- no campaign\n",
        "{: no yaml\n",
    ],
)
def test_what_is_wrong_with_a_campaign_file_is_said_by_who_reads_it(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "night.yaml"
    file.write_text(content)
    told = redirect(["run", str(file), "--stack", "compose"], project=PROJECT)
    assert "/run/ratchet/given/night.yaml" in told.argv


@pytest.mark.parametrize(
    "words",
    [
        ["--runs", "/x"],
        ["--runs=/x"],
        ["--api-key-file", "k"],
        ["--webhook-secret-file", "s"],
        ["--webhook-secret-file=s"],
    ],
)
def test_what_the_container_does_not_have_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="of no use with --stack compose"):
        redirect(["run", "--stack", "compose", *words], project=PROJECT)


def test_only_a_command_line_goes_into_a_container() -> None:
    """Whoever asks for it in a process of his own would be replaced by docker."""
    told = CliRunner().invoke(app, ["run", "--stack", "compose"])
    assert isinstance(told.exception, UsageError)


#: `run` goes on until `kill` tells its name a signal, as a container does; it ends with 7
DOCKER = """#!/bin/sh
case "$1" in
compose) echo "$@" > "$PLACE/asked"; while [ ! -e "$PLACE/told" ]; do sleep 0.02; done; exit 7;;
kill) echo "$@" > "$PLACE/told";;
esac
"""


def put_docker(place: Path) -> None:
    docker = place / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_the_command_ends_the_campaign_in_the_container(
    tmp_path: Path, number: signal.Signals
) -> None:
    put_docker(tmp_path)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = subprocess.Popen(
        [sys.executable, "-m", "campaign", "trial", "missing_index", "--stack", "compose"],
        env={**os.environ, "PATH": path, "PLACE": str(tmp_path)},
        stdin=subprocess.DEVNULL,
    )
    try:
        while not (tmp_path / "asked").exists():
            assert command.poll() is None
            time.sleep(0.02)
        command.send_signal(number)
        assert command.wait(timeout=30) == 7
    finally:
        command.kill()
    asked = (tmp_path / "asked").read_text().split()
    name = asked[asked.index("--name") + 1]
    assert (tmp_path / "told").read_text().split() == ["kill", "--signal", number.name, name]


def test_what_ends_the_command_while_docker_is_started_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_docker(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PLACE", str(tmp_path))
    popen = subprocess.Popen

    def started(*given: Any, **more: Any) -> Any:
        child = popen(*given, **more)
        if given[0][1] == "compose":
            signal.raise_signal(signal.SIGINT)
        return child

    monkeypatch.setattr(subprocess, "Popen", started)
    assert accompany(redirect(["trial", "missing_index"], project=PROJECT, name="it")) == 7
    assert (tmp_path / "told").read_text().split() == ["kill", "--signal", "SIGINT", "it"]
