"""The command by which a replay makes a recorded edit, in a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from operators.replaying import _applying

BEFORE = "one\ntwo\nthree\n"
AFTER = "one\nTWO $HOME `date` 'quoted' \\\nthree"


@pytest.fixture
def diff(tmp_path: Path) -> str:
    """A change, a new file, and one that goes."""
    origin = tmp_path / "origin"
    fill(origin)
    run = ["git", "-C", str(origin)]
    subprocess.run([*run, "init", "-q"], check=True)
    subprocess.run([*run, "add", "-A"], check=True)
    (origin / "changed.py").write_text(AFTER)
    (origin / "new.py").write_text("new\n")
    (origin / "gone.py").unlink()
    subprocess.run([*run, "add", "-N", "new.py"], check=True)
    return subprocess.run([*run, "diff"], check=True, capture_output=True, text=True).stdout


def fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "changed.py").write_text(BEFORE)
    (folder / "gone.py").write_text("gone\n")


def apply(folder: Path, diff: str) -> int:
    command = _applying(diff).replace("cd /srv/app", f"cd {folder}")
    return subprocess.run(["bash", "-c", command], check=False).returncode


def test_an_edit_is_made_as_it_was(tmp_path: Path, diff: str) -> None:
    app = tmp_path / "app"
    fill(app)
    assert apply(app, diff) == 0
    assert (app / "changed.py").read_text() == AFTER
    assert (app / "new.py").read_text() == "new\n"
    assert not (app / "gone.py").exists()


def test_one_that_was_made_already_stays(tmp_path: Path, diff: str) -> None:
    app = tmp_path / "app"
    fill(app)
    assert [apply(app, diff), apply(app, diff)] == [0, 0]
    assert (app / "changed.py").read_text() == AFTER


def test_one_that_does_not_fit_changes_nothing(tmp_path: Path, diff: str) -> None:
    app = tmp_path / "app"
    fill(app)
    (app / "changed.py").write_text("something else\n")
    assert apply(app, diff) != 0
    assert (app / "gone.py").exists()
    assert not (app / "new.py").exists()
