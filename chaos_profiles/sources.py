"""Profiles against the app's source: do the patches apply, are the named functions there."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from campaign.model import Profile
from chaos_profiles.catalogue import Catalogue
from chaos_profiles.problems import Problem, did_you_mean

_IGNORED = shutil.ignore_patterns("__pycache__", ".*")


def check_sources(catalogue: Catalogue) -> tuple[Problem, ...]:
    """Everything that does not fit the unmodified app; takes a moment, since it runs git."""
    app_dir = catalogue.target.app_dir
    if not app_dir.is_dir():
        message = f"there is no app in {app_dir}: correct `app`"
        file = catalogue.target.folder / "target.yaml"
        return (Problem(file=file, line=None, field="app", message=message),)
    with tempfile.TemporaryDirectory(prefix="ratchet-sources-") as scratch:
        copy = Path(scratch) / "app"
        shutil.copytree(app_dir, copy, ignore=_IGNORED)
        return tuple(_problems(catalogue, copy))


def _problems(catalogue: Catalogue, app: Path) -> Iterator[Problem]:
    for profile in catalogue.profiles:
        yield from _check_anti_patterns(catalogue, profile, app)
        fix = catalogue.fix_patch(profile)
        if not fix.is_file():
            message = "is missing: every profile is proven by its reference fix"
            yield Problem(file=fix, line=None, field="", message=message)
            continue
        yield from _check_patches((fix, *catalogue.hacks(profile)), app)


def _check_patches(patches: Iterable[Path], app: Path) -> Iterator[Problem]:
    for patch in patches:
        complaint = _git_apply_check(patch, app)
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


def _check_anti_patterns(catalogue: Catalogue, profile: Profile, app: Path) -> Iterator[Problem]:
    for number, named in enumerate(profile.anti_patterns):
        file, _, function = named.partition(":")
        message = _absent(app / file, function)
        if message:
            yield Problem(
                file=catalogue.folder(profile) / "profile.yaml",
                line=None,
                field=f"anti_patterns.{number}",
                message=f"{named}: {message}",
            )


def _absent(file: Path, function: str) -> str:
    if not file.is_file():
        here = (path.name for path in file.parent.glob("*.py"))
        return f"the app has no such file; {did_you_mean(file.name, here)}"
    defined = set(_definitions(ast.parse(file.read_text(encoding="utf-8")), ""))
    return "" if function in defined else f"is not defined there; {did_you_mean(function, defined)}"


def _definitions(node: ast.AST, prefix: str) -> Iterator[str]:
    """Qualified names of the functions and classes in `node`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{prefix}{child.name}"
            yield from _definitions(child, f"{prefix}{child.name}.")
