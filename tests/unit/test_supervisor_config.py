import json
from pathlib import Path
from typing import Any

import pytest

from campaign.supervisor import ConfigError, load_config
from campaign.supervisor.__main__ import main

GOOD: dict[str, Any] = {
    "app_dir": "/tmp/r/app",  # noqa: S108 - never made
    "control_socket": "/tmp/r/supervisor.sock",  # noqa: S108 - never made
    "state_dir": "/tmp/r/state",  # noqa: S108 - never made
    "log_file": "/tmp/r/app.log",  # noqa: S108 - never made
    "environments_dir": "/tmp/r/environments",  # noqa: S108 - never made
    "wheel_cache": "/tmp/r/wheels",  # noqa: S108 - never made
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "supervisor.json"
    path.write_text(json.dumps(GOOD | changes))
    return path


def test_paths_alone_are_enough(tmp_path: Path) -> None:
    config = load_config(write(tmp_path))
    assert config.command == ("python", "main.py")
    assert config.sandbox == "bubblewrap"


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        app_dir="/" + "x" * 120,
        log_file="relative.log",
        relay_port=0,
        sandbox="jail",
        limits={"processes": -1},
        unknown=True,
    )
    with pytest.raises(ConfigError) as raised:
        load_config(path)
    problems = "\n".join(raised.value.problems)
    for name in ("app_dir", "log_file", "relay_port", "sandbox", "limits.processes", "unknown"):
        assert f"{path}: {name}: " in problems
    assert len(raised.value.problems) == 6


def test_a_wrong_configuration_ends_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(write(tmp_path, relay_port=-1))]) == 2
    assert "relay_port" in capsys.readouterr().err
    assert main(["--config", str(tmp_path / "missing.json")]) == 2
    assert "No such file" in capsys.readouterr().err
