"""The reference fixes of chat_db_app, and other right ones, as patches."""

from __future__ import annotations

import ast
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APP = ROOT / "target_apps" / "chat_db_app"
PROFILES = ("01_missing_index", "02_pool_exhaustion", "03_streaming_txn", "04_fulltext_search")
FIXES = [ROOT / "chaos_profiles" / "chat_db_app" / name / "fix.patch" for name in PROFILES]
ALTERNATIVES = sorted((ROOT / "tests" / "fixtures" / "alternative_fixes").glob("*.patch"))
SUBSETS = [subset for size in range(1, len(FIXES) + 1) for subset in combinations(FIXES, size)]


def profile(patch: Path) -> str:
    return patch.parent.name if patch.name == "fix.patch" else patch.stem


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A copy of the app, outside of any git repository of ours."""
    ignore = shutil.ignore_patterns("__pycache__", ".*", "tests")
    return Path(shutil.copytree(APP, tmp_path / "app", ignore=ignore))


def apply(app: Path, *patches: Path) -> None:
    """Applies patches one after the other, without fuzz; fails with what git says.

    `GIT_CEILING_DIRECTORIES` keeps git from taking a repository above the copy for its own.
    """
    for patch in patches:
        done = subprocess.run(
            ["git", "apply", "-p1", "--whitespace=error-all", str(patch)],
            cwd=app,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "GIT_CEILING_DIRECTORIES": str(app.parent),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{profile(patch)}: {done.stderr}"


def sources(app: Path) -> dict[str, str]:
    """Every source file's text; a syntax error fails."""
    texts = {file.name: file.read_text() for file in app.glob("*.py")}
    for name, text in texts.items():
        ast.parse(text, filename=name)
    return texts


def test_there_is_another_right_fix_for_each_profile() -> None:
    assert [profile(other) for other in ALTERNATIVES] == list(PROFILES)


@pytest.mark.parametrize(
    "subset", SUBSETS, ids=lambda fixes: "+".join(profile(f)[:2] for f in fixes)
)
def test_fixes_apply_in_order_with_any_of_them_left_out(
    app: Path, subset: tuple[Path, ...]
) -> None:
    before = sources(app)
    apply(app, *subset)
    assert sources(app) != before


def test_fixes_give_the_same_app_in_any_order(app: Path, tmp_path: Path) -> None:
    backwards = Path(shutil.copytree(app, tmp_path / "backwards"))
    apply(app, *FIXES)
    apply(backwards, *reversed(FIXES))
    assert sources(app) == sources(backwards)


@pytest.mark.parametrize("patch", [*FIXES, *ALTERNATIVES], ids=profile)
def test_a_fix_changes_no_more_than_two_files(app: Path, patch: Path) -> None:
    before = sources(app)
    apply(app, patch)
    changed = [name for name, text in sources(app).items() if before.get(name) != text]
    assert 1 <= len(changed) <= 2
