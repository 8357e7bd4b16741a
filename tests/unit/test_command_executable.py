from __future__ import annotations

from pathlib import Path

import pytest
from operators.command import AgentAdapter, RunnerError

from campaign.adapters.agents.executable import find_executable

ADAPTER = AgentAdapter(
    title="Mine",
    executable="my-agent",
    bundled="bringing_it/_bundled/my-agent",
    stdin="${prompt} ${tools_url}",
    output="text",
)


def program(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "my-agent"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path.resolve()


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("RATCHET_MY_AGENT", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def test_a_variable_comes_before_the_path_and_that_before_a_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = program(tmp_path / "site/bringing_it/_bundled")
    (tmp_path / "site/bringing_it/__init__.py").write_text("raise SystemError('imported')\n")
    assert find_executable(ADAPTER) == package
    on_path = program(tmp_path / "path")
    assert find_executable(ADAPTER) == on_path
    chosen = program(tmp_path / "chosen")
    monkeypatch.setenv("RATCHET_MY_AGENT", str(chosen))
    assert find_executable(ADAPTER) == chosen


def test_an_agent_that_is_nowhere_says_how_to_name_it() -> None:
    with pytest.raises(RunnerError, match="RATCHET_MY_AGENT"):
        find_executable(ADAPTER)
