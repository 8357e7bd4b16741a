"""What an earlier campaign's operator did: the data, and chat-db-app's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chaos_profiles import PROFILES_ROOT, ProfileError
from chaos_profiles.history import PastTrial, load_history

CHAT = PROFILES_ROOT / "chat_db_app"
APP = Path(__file__).parents[2] / "target_apps" / "chat_db_app"
NO_CHANGE = {
    "pool_exhaustion",
    "notification_fanout",
    "notification_counter",
    "notification_poll_idle",
}


def target(folder: Path, past: str, *patches: str) -> Path:
    """A target with nothing but a history."""
    history = folder / "history"
    history.mkdir()
    (history / "past.yaml").write_text(past)
    for name in patches:
        (history / f"{name}.patch").write_text("--- a/x\n+++ b/x\n")
    return folder


def test_a_trial_has_its_patch_and_what_was_done_on_one_line(tmp_path: Path) -> None:
    past = "trials:\n  02_b: {outcome: failed, did: gave up}\n"
    past += "  01_a:\n    outcome: resolved\n    did: >-\n      an index\n      was added\n"
    history = load_history(target(tmp_path, past, "01_a"))
    patch = tmp_path / "history" / "01_a.patch"
    assert list(history.items()) == [
        ("a", PastTrial(did="an index was added", outcome="resolved", patch=patch)),
        ("b", PastTrial(did="gave up", outcome="failed", patch=None)),
    ]


@pytest.mark.parametrize(
    ("past", "patches", "complaint"),
    [
        ("trials: {}\n", (), "trials"),
        ("trials:\n  01_a: {outcome: won, did: x}\n", (), "past.yaml:2: trials.01_a.outcome"),
        ("trials:\n  01_a: {outcome: resolved}\n", (), "trials.01_a.did: is missing"),
        ("trials:\n  01_a: {outcome: resolved, did: x}\n", ("02_b",), "02_b.patch: belongs to no"),
        ("trials:\n  01_a: {outcome: immune, did: x}\n", ("01_a",), "only a resolved trial"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, past: str, patches: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(ProfileError, match=re.escape(complaint)):
        load_history(target(tmp_path, past, *patches))


def test_a_target_without_a_history_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"past\.yaml: does not exist"):
        load_history(tmp_path)


def test_the_first_campaigns_eighteen_trials_are_told() -> None:
    history = load_history(CHAT)
    assert len(history) == 18
    resolved = {name for name, trial in history.items() if trial.outcome == "resolved"}
    assert len(resolved) == 15
    assert {name for name in resolved if history[name].patch is None} == NO_CHANGE
    assert history["notification_serialize"].outcome == "failed"


def test_its_edits_apply_one_after_the_other_and_the_app_compiles(tmp_path: Path) -> None:
    app = Path(shutil.copytree(APP, tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__")))
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    for trial in load_history(CHAT).values():
        if trial.patch is not None:
            command = ["git", "apply", "--whitespace=error-all", str(trial.patch)]
            subprocess.run(command, cwd=app, env=environment, check=True)
            for file in app.rglob("*.py"):
                compile(file.read_text(), str(file), "exec")
