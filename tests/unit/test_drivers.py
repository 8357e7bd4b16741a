"""What drivers are made with: keys, and where they must not show."""

from __future__ import annotations

from pathlib import Path

import pytest
from operators.command import RunnerError

from campaign import drivers
from campaign.model import OperatorOptions
from campaign.rig import RigOptions

ADAPTER = """\
title: Mine
executable: mine
stdin: "${prompt} ${tools_url}"
output: text
needs: [MINE_LICENCE]
model_api: {base_url: https://api.test, key: MINE_KEY, allow: [POST /v1]}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OperatorOptions:
    """An agent of one's own, and everybody's keys."""
    file = tmp_path / "mine.yaml"
    file.write_text(ADAPTER)
    for name in ("ANTHROPIC_API_KEY", "MINE_KEY", "MINE_LICENCE"):
        monkeypatch.setenv(name, f"secret of {name}\n")
    return OperatorOptions(agent=str(file))


def test_whatever_an_agent_needs_of_ours_is_a_secret(mine: OperatorOptions) -> None:
    assert drivers.secrets("command", mine, RigOptions()) == {
        "secret of ANTHROPIC_API_KEY",
        "secret of MINE_KEY",
        "secret of MINE_LICENCE",
    }
    assert drivers.secrets("claude", mine, RigOptions()) == {"secret of ANTHROPIC_API_KEY"}


def test_a_key_of_a_file_is_a_secret_too(mine: OperatorOptions, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-of-the-file\n")
    assert "sk-of-the-file" in drivers.secrets("command", mine, RigOptions(api_key_file=key))


def test_a_key_file_that_was_emptied_meanwhile_is_told_as_what_is_missing(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    key_of = drivers._key_of(key)
    with pytest.raises(RunnerError, match="it should hold the API key"):
        key_of("ANTHROPIC_API_KEY")
