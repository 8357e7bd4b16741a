"""Wrong input: one clear error that says what to do, exit code 2, and nothing started."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaign.adapters.journal import run_lock
from tests.runs_kit import played, ratchet, write_run


@pytest.fixture
def runs() -> Iterator[Path]:
    """A folder for runs that the app's user could enter, so that this is not what is wrong."""
    with tempfile.TemporaryDirectory(prefix="ratchet-cli-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with what a campaign needs, but Prometheus."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "bwrap", "setpriv", "prlimit", "true", "sh"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder


def program(folder: Path, name: str, says: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)


def assert_refused(
    done: subprocess.CompletedProcess[str], *told: str, runs: Path | None = None
) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("ratchet: ")
    assert done.stderr.count("ratchet: ") == 1
    assert "Traceback" not in done.stderr
    for words in told:
        assert words in done.stderr
    if runs is not None:
        assert list(runs.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told", "what_to_do"),
    [
        (["run", "--operator", "x"], "unknown operator: x", "there are: reference, history, none"),
        (["run", "--mode", "x"], "unknown mode: x", "there are: continuous, isolated"),
        (["run", "--target", "x"], "unknown target: x", "there are: chat_db_app"),
        (["run", "--profiles", "mising_index"], "no profile 'mising_index'", "profiles list"),
        (["run", "--profiles", ","], "no profile is named", "whole ladder"),
        (["run", "--profiles", "missing_index,missing_index"], "named twice", "start another"),
        (["run", "--first", "0"], "at least 1", ""),
        (["run", "--first", "some"], "--first", "see `ratchet run --help`"),
        (["run", "--seed", "-1"], "seed -1", "at least 0"),
        (["run", "--name", "../x"], "'../x' cannot be", "use up to 63 of"),
        (["run", "no-such.yaml"], "no-such.yaml: does not exist: create it", ""),
        (["run", "--no-such"], "No such option: --no-such", "see `ratchet run --help`"),
        (["trial", "mising_index"], "did you mean missing_index?", "profiles list"),
        (["trial"], "Missing argument 'profile'", "see `ratchet trial --help`"),
        (["resume"], "there is no campaign in", "start one with `ratchet run`"),
        (["resume", "x"], "there is no campaign x in", "the latest are: none"),
        (["status"], "there is no campaign in", "start one with `ratchet run`"),
        (["report"], "there is no campaign in", "start one with `ratchet run`"),
    ],
)
def test_what_cannot_be_done_is_refused(
    runs: Path, arguments: list[str], told: str, what_to_do: str
) -> None:
    done = ratchet(*arguments, "--runs", runs)
    assert_refused(done, told, what_to_do, runs=runs)


@pytest.mark.parametrize(
    "arguments", [["run", "--operator", "x"], ["trial", "x"], ["status"], ["run", "--no-such"]]
)
def test_with_json_an_error_is_told_on_standard_error_alone(
    runs: Path, arguments: list[str]
) -> None:
    assert_refused(ratchet(*arguments, "--json", "--runs", runs), runs=runs)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["watch"], "there is no campaign in"),
        (["stop"], "is being played"),
        (["pause"], "is being played"),
        (["continue", "x"], "there is no campaign x"),
        (["profiles", "verify", "--profile", "x"], "no profile 'x'"),
        (["serve", "--port", "99999"], "Invalid value for '--port'"),
    ],
)
def test_the_other_commands_refuse_alike(runs: Path, arguments: list[str], told: str) -> None:
    assert_refused(ratchet(*arguments, "--runs", runs), told, runs=runs)


def test_an_unknown_command_and_profile_are_refused() -> None:
    assert_refused(ratchet("bogus"), "No such command 'bogus'", "see `ratchet --help`")
    assert_refused(ratchet("profiles", "show", "x"), "no profile 'x'", "profiles list")
    assert_refused(ratchet("profiles", "list", "--target", "x"), "there are: chat_db_app")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("target: [\n", "not YAML"),
        ("target: chat_db_app\noperator: x\n", ":2: operator: unknown operator: x"),
        ("target: chat_db_app\noperater: none\n", ":2: operater: unknown key; did you mean"),
        (
            "target: chat_db_app\noperator: none\nprofiles: [missing_index, missing_index]\n",
            ":3: profiles: named twice: missing_index",
        ),
        (
            "target: chat_db_app\noperator: none\ntimings: {range_s: 60}\n",
            "must be longer than the rules' range and the warm-up together",
        ),
        (
            "target: chat_db_app\noperator: none\nbudget: {wall_s: -1}\n",
            ":3: budget.wall_s: should be greater than 0, not -1",
        ),
    ],
)
def test_a_campaign_file_that_is_wrong_is_told_with_file_line_and_field(
    runs: Path, tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(text)
    done = ratchet("run", file, "--runs", runs)
    assert_refused(done, told, runs=runs)
    assert "invariants" in done.stderr or "profile.yaml" in done.stderr or str(file) in done.stderr


def test_a_file_and_an_option_that_contradict_each_other_are_refused(
    runs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text("target: chat_db_app\noperator: none\n")
    done = ratchet("run", file, "--target", "chat_db_app", "--runs", runs)
    assert_refused(done, "both given", runs=runs)


def test_without_prometheus_nothing_is_started(runs: Path, bare_path: Path) -> None:
    done = ratchet("run", "--runs", runs, env={"PATH": str(bare_path)})
    assert_refused(
        done, "Prometheus: prometheus was not found on PATH", "install prometheus", runs=runs
    )


def test_a_prometheus_that_is_too_old_is_named(runs: Path, bare_path: Path) -> None:
    program(bare_path, "prometheus", "prometheus, version 2.24.1 (branch: HEAD)")
    program(bare_path, "promtool", "promtool, version 2.24.1 (branch: HEAD)")
    done = ratchet("trial", "missing_index", "--runs", runs, env={"PATH": str(bare_path)})
    assert_refused(done, "Prometheus 2.24.1 is too old, 2.40 or newer is needed", runs=runs)


def test_all_that_is_missing_is_told_at_once(runs: Path, bare_path: Path) -> None:
    (bare_path / "git").unlink()
    done = ratchet("run", "--runs", runs, env={"PATH": str(bare_path)})
    assert_refused(done, "git is needed, not on PATH", "install git", runs=runs)


def test_a_campaign_in_use_by_another_process_is_left_alone(runs: Path) -> None:
    run = write_run(runs, "one", played(2)[:5])
    before = {path.name for path in run.path.iterdir()}

    async def try_to_resume() -> subprocess.CompletedProcess[str]:
        async with run_lock(run.path):
            return await asyncio.to_thread(ratchet, "resume", "one", "--runs", runs)

    done = asyncio.run(try_to_resume())
    assert_refused(done, f"campaign one is being played by pid {os.getpid()}", "ratchet watch one")
    assert {path.name for path in run.path.iterdir()} - before <= {
        "journal.db-shm",
        "journal.db-wal",
    }


def test_a_name_that_is_taken_is_refused(runs: Path) -> None:
    write_run(runs, "one", played(1))
    done = ratchet("run", "--name", "one", "--runs", runs)
    assert_refused(done, "campaign one exists already", "ratchet resume one")


def test_a_folder_that_the_apps_user_cannot_enter_is_refused(runs: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's app runs as that user")
    runs.chmod(0o700)
    done = ratchet("run", "--runs", runs / "deep", env={"HOME": "/root"})
    assert_refused(done, "cannot enter", "--runs", runs=runs)


def test_a_file_is_no_folder_for_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_refused(ratchet("status", "--runs", tmp_path / "file"), "is a file")


def test_a_port_in_use_is_told(runs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ratchet("serve", "--port", str(port), "--runs", runs)
    assert_refused(done, f"port {port} is in use", "choose another one with --port", runs=runs)


def test_what_is_not_played_cannot_be_stopped(runs: Path) -> None:
    write_run(runs, "one", played(1))
    assert_refused(ratchet("stop", "one", "--runs", runs), "campaign one is not being played")
    assert_refused(ratchet("stop", "--runs", runs), "no campaign in", "status --all")


def test_a_python_that_is_too_old_is_told_before_anything_is_installed(tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    copy = tmp_path / "ratchet"
    for name in ("scripts/bootstrap", "requirements.lock", "pyproject.toml"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / name, copy / name)
    app = copy / "target_apps" / "chat_db_app"
    app.mkdir(parents=True)
    shutil.copy(repository / "target_apps/chat_db_app/requirements.txt", app)
    script = copy / "scripts" / "bootstrap"
    # The system's own Python is asked by its whole path, whatever PATH says.
    script.write_text(script.read_text().replace("/usr/bin/python3", "/nowhere/python3"))
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("cat", "cut", "dirname", "sha256sum", "id", "uname", "bash", "env", "xargs"):
        (tools / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name}"))
    for name in ("python3", *(f"python3.{minor}" for minor in range(11, 15))):
        file = tools / name
        file.write_text('#!/bin/sh\ncase "$1" in -V) echo "Python 3.9.2";; *) exit 1;; esac\n')
        file.chmod(0o755)
    done = subprocess.run(
        [str(script)], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "setup: Python 3.11 or newer is needed; python3 is Python 3.9.2\n"
    assert not (copy / ".venv").exists()
