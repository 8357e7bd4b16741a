"""The patches of chat_db_app's profiles, alone and together, and the functions they change."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_profiles.document import read_document
from chaos_profiles.sources import definitions

ROOT = Path(__file__).parents[2]
APP = ROOT / "target_apps" / "chat_db_app"
#: in the ladder's order
FIXES = sorted((ROOT / "chaos_profiles" / "chat_db_app").glob("[0-9][0-9]_*/fix.patch"))
HACKS = sorted((ROOT / "chaos_profiles" / "chat_db_app").glob("[0-9][0-9]_*/hacks/*.patch"))
ALTERNATIVES = sorted((ROOT / "tests" / "fixtures" / "alternative_fixes").glob("*.patch"))

Tree = ast.Module


def profile(patch: Path) -> str:
    """Of the ladder's folder that the patch is for."""
    if patch.parent.name == "hacks":
        return f"{patch.parents[1].name}/{patch.stem}"
    return patch.parent.name if patch.name == "fix.patch" else patch.stem


each_fix = pytest.mark.parametrize("fix", FIXES, ids=profile)


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
        compile(text, name, "exec")
    return texts


def functions(app: Path) -> dict[str, str]:
    """What is defined, as `file:name`, whatever the order."""
    trees = {name: ast.parse(text) for name, text in sources(app).items()}
    return {
        f"{name}:{found}": ast.unparse(node)
        for name, tree in trees.items()
        for found, node in definitions(tree).items()
    }


def test_the_whole_ladder_is_there() -> None:
    assert [int(profile(fix)[:2]) for fix in FIXES] == list(range(1, 19))


@pytest.mark.parametrize("patch", [*FIXES, *HACKS, *ALTERNATIVES], ids=profile)
def test_a_patch_applies_alone_and_leaves_an_app_that_compiles(app: Path, patch: Path) -> None:
    before = sources(app)
    apply(app, patch)
    assert sources(app) != before


@pytest.mark.parametrize(
    "left_out", [None, *FIXES], ids=lambda fix: "none" if fix is None else profile(fix)
)
def test_all_fixes_apply_in_order_with_any_of_them_left_out(
    app: Path, tmp_path: Path, left_out: Path | None
) -> None:
    """Backwards too, and to the same functions: else one found its context in a wrong place."""
    applied = [fix for fix in FIXES if fix != left_out]
    backwards = Path(shutil.copytree(app, tmp_path / "backwards"))
    apply(app, *applied)
    apply(backwards, *reversed(applied))
    assert functions(app).items() ^ functions(backwards).items() == set()


@pytest.mark.parametrize("patch", [*FIXES, *ALTERNATIVES], ids=profile)
def test_a_fix_changes_no_more_than_three_files(app: Path, patch: Path) -> None:
    before = sources(app)
    apply(app, patch)
    changed = [name for name, text in sources(app).items() if before.get(name) != text]
    assert 1 <= len(changed) <= 3


@each_fix
def test_each_profile_has_two_hacks_at_least(fix: Path) -> None:
    assert len(list((fix.parent / "hacks").glob("*.patch"))) >= 2


# -- ground truth --------------------------------------------------------------------------------


@each_fix
def test_a_fix_changes_each_function_that_its_profile_names(app: Path, fix: Path) -> None:
    named: list[str] = read_document(fix.with_name("profile.yaml")).data["anti_patterns"]
    before = {place: meaning(app, place) for place in named}
    apply(app, fix)
    assert [place for place in named if meaning(app, place) == before[place]] == []


def meaning(app: Path, place: str) -> list[str]:
    """A function as it is compiled, with its module's constants that it uses."""
    file, _, function = place.partition(":")
    tree = ast.parse((app / file).read_text())
    found = definitions(tree).get(function)
    return [] if found is None else [ast.dump(found), *_constants(tree, used_by=found)]


def _constants(tree: Tree, *, used_by: ast.AST) -> Iterator[str]:
    names = {node.id for node in ast.walk(used_by) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if names & {target.id for target in targets if isinstance(target, ast.Name)}:
                yield ast.dump(node)


def test_the_meaning_of_a_function_changes_with_its_body_or_its_constants(tmp_path: Path) -> None:
    file = tmp_path / "models.py"

    def told(text: str) -> list[str]:
        file.write_text(text)
        return meaning(tmp_path, "models.py:read")

    first = told("LIMIT = 1\nOTHER = 1\ndef read():\n    return LIMIT\n")
    assert first == told("OTHER = 2\nLIMIT = 1\n\ndef read():\n    # a comment\n    return LIMIT\n")
    assert first != told("LIMIT = 2\nOTHER = 1\ndef read():\n    return LIMIT\n")
    assert first != told("LIMIT = 1\nOTHER = 1\ndef read():\n    return OTHER\n")
    assert told("OTHER = 1\n") == []
