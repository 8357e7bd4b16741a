import os
from pathlib import Path

import pytest

from campaign.identity import own_identity
from campaign.supervisor.environments import (
    EnvironmentRefusedError,
    Environments,
    find_interpreter,
    read_requirements,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text(text)
    return path


def test_plain_requirements_are_normalised_and_sorted(tmp_path: Path) -> None:
    text = """
# comment
aiohttp == 3.14.5  # pinned

asyncpg>=0.30,<1
Attrs[x] ; python_version > '3'
"""
    assert read_requirements(write(tmp_path, text)) == (
        'Attrs[x]; python_version > "3"',
        "aiohttp==3.14.5",
        "asyncpg<1,>=0.30",
    )


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "-e .",
        "./package",
        "/etc/passwd",
        "--find-links /",
        "x @ file:///etc/passwd",
        "git+https://example.org/x",
        "https://example.org/x.whl",
        "aiohttp==3 --hash=sha256:00",
    ],
)
def test_nothing_but_plain_requirements_is_let_through(tmp_path: Path, line: str) -> None:
    with pytest.raises(EnvironmentRefusedError, match=r"requirements\.txt:2"):
        read_requirements(write(tmp_path, f"aiohttp\n{line}\n"))


def test_a_link_to_somewhere_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").symlink_to("/etc/hostname")
    with pytest.raises(EnvironmentRefusedError, match="symbolic links"):
        read_requirements(tmp_path / "requirements.txt")


def test_a_pipe_or_a_folder_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(EnvironmentRefusedError, match=r"not a plain file|Is a directory"):
            read_requirements(path)


def test_an_app_without_requirements_needs_nothing(tmp_path: Path) -> None:
    assert read_requirements(tmp_path / "requirements.txt") == ()


def test_an_interpreter_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefusedError, match="/nowhere/python: No such file"):
        find_interpreter(own_identity(), wanted=Path("/nowhere/python"))
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no good' >&2; exit 1\n")
    broken.chmod(0o755)
    with pytest.raises(EnvironmentRefusedError, match="no good"):
        find_interpreter(own_identity(), wanted=broken)


def test_an_environment_is_made_once_and_an_unfinished_one_is_made_again(tmp_path: Path) -> None:
    environments = Environments(
        tmp_path / "cache", wheel_cache=tmp_path, interpreter=find_interpreter(own_identity())
    )
    first = environments.ensure_blocking(tmp_path)
    made = (first / "pyvenv.cfg").stat().st_ctime_ns
    assert environments.ensure_blocking(tmp_path) == first
    assert (first / "pyvenv.cfg").stat().st_ctime_ns == made
    (first / "ratchet-complete.json").unlink()
    (first / "left-over").touch()
    assert environments.ensure_blocking(tmp_path) == first
    assert not (first / "left-over").exists()
