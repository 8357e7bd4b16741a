from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = frozenset({"campaign", "chaos_profiles", "loadgen", "operators", "reports", "tests"})
OUR_FOLDERS = ("campaign", "chaos_profiles", "loadgen", "operator/operators", "reports", "tests")


def imports(file: Path) -> Iterator[str]:
    """The top-level packages that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def python_files(*folders: str) -> list[Path]:
    found = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    assert found, folders
    return found


def test_the_folder_operator_hides_nothing_of_pythons_own() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert list((ROOT / "operator").glob("*.py")) == []
    assert not (ROOT / "tests" / "operator").exists()


@pytest.mark.parametrize("how", [["-c"], ["-P", "-c"]])
def test_operator_is_pythons_own_from_the_repositorys_root(how: list[str]) -> None:
    code = "import operator, operators; print(operator.__file__); print(operators.__file__)"
    done = subprocess.run(
        [sys.executable, *how, code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pythons, ours = done.stdout.splitlines()
    assert Path(pythons) == Path(sysconfig.get_path("stdlib")) / "operator.py"
    assert Path(ours) == ROOT / "operator" / "operators" / "__init__.py"


def test_target_apps_import_nothing_of_ours() -> None:
    files = python_files("target_apps")
    assert {str(file): taken for file in files if (taken := OURS & set(imports(file)))} == {}


def test_nothing_of_ours_imports_a_target_app() -> None:
    apps = {folder.name for folder in (ROOT / "target_apps").iterdir() if folder.is_dir()}
    assert apps
    loaded = python_files(*OUR_FOLDERS)
    # The users and the data of a target are named after it, in packages of ours.
    assert {str(file) for file in loaded if {"target_apps", *apps} & set(imports(file))} == set()


def test_imports_run_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout
