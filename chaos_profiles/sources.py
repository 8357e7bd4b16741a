"""Profiles against the app's source: do the patches apply, are the named functions there."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from chaos_profiles.problems import Problem, did_you_mean
from chaos_profiles.reading import File, TargetFiles
from chaos_profiles.schema import ProfileFile

_IGNORED = shutil.ignore_patterns("__pycache__", ".*")
#: CPython 3.11 counts how deep it is for all threads together (cpython issue 106905)
_PARSING = threading.Lock()


def check_sources(files: TargetFiles, *, app_dir: Path) -> Iterator[Problem]:
    """Everything that does not fit the unmodified app; takes a moment, since it runs git."""
    if not app_dir.is_dir():
        if files.target:
            message = f"there is no app in {app_dir}: correct it"
            yield files.target.document.problem(("app",), message)
        return
    with tempfile.TemporaryDirectory(prefix="ratchet-sources-") as scratch:
        copy = Path(scratch) / "app"
        shutil.copytree(app_dir, copy, ignore=_IGNORED)
        for name, folder in files.folders.items():
            yield from _check_patches(folder, copy)
            if file := files.profiles.get(name):
                yield from _check_anti_patterns(file, copy)


def _check_patches(folder: Path, app: Path) -> Iterator[Problem]:
    fix = folder / "fix.patch"
    if not fix.is_file():
        message = "is missing: every profile is proven by its reference fix"
        yield Problem(file=fix, line=None, field="", message=message)
    for patch in (fix, *sorted((folder / "hacks").glob("*.patch"))):
        complaint = _git_apply_check(patch, app) if patch.is_file() else ""
        if complaint:
            message = f"does not apply to the unmodified app; git says: {complaint}"
            yield Problem(file=patch, line=None, field="", message=message)


def _git_apply_check(patch: Path, app: Path) -> str:
    """Git's complaint, or nothing. The copy is no repository, so paths are taken as they are."""
    command = ["git", "apply", "--check", str(patch.resolve())]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(app.parent)}
    done = subprocess.run(
        command, cwd=app, env=environment, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else " ".join(done.stderr.split())


def _check_anti_patterns(file: File[ProfileFile], app: Path) -> Iterator[Problem]:
    for number, named in enumerate(file.content.anti_patterns):
        source, _, function = named.partition(":")
        if message := _absent(app / source, function):
            yield file.document.problem(("anti_patterns", number), f"{named}: {message}")


def _absent(file: Path, function: str) -> str:
    if not file.is_file():
        here = (path.name for path in file.parent.glob("*.py"))
        return f"the app has no such file; {did_you_mean(file.name, here)}"
    try:
        with _PARSING:
            tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        return f"that file is no Python: {error}"
    defined = set(definitions(tree))
    return "" if function in defined else f"is not defined there; {did_you_mean(function, defined)}"


def definitions(node: ast.AST, prefix: str = "") -> dict[str, ast.AST]:
    """The functions and classes in `node` by their qualified names, such as `Box.open`."""
    found: dict[str, ast.AST] = {}
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[f"{prefix}{child.name}"] = child
            found |= definitions(child, f"{prefix}{child.name}.")
    return found
