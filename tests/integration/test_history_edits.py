"""The edits of chat_db_app's history, one after the other: the app stays an app that works."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chaos_profiles.history import load_history
from tests.integration.database_kit import FOLDER, Server, catalogue, running_server

PATCHES = [trial.patch for trial in load_history(FOLDER).values() if trial.patch is not None]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running_server() as server:
        yield server


def edited(app: Path) -> Iterator[str]:
    """Apply one edit after the other; gives the name of each once it is in."""
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(app.parent)}
    for patch in PATCHES:
        subprocess.run(
            ["git", "apply", "--whitespace=error-all", patch], cwd=app, env=environment, check=True
        )
        yield patch.stem


def own_tests(app: Path, dsn: str) -> subprocess.CompletedProcess[str]:
    """The app's own tests."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=app,
        env={**os.environ, "DATABASE_URL": dsn},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_after_each_edit_the_apps_own_tests_pass(tmp_path: Path, server: Server) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    app = Path(shutil.copytree(catalogue().target.app_dir, tmp_path / "app", ignore=ignore))
    for name in edited(app):
        run = await asyncio.to_thread(own_tests, app, server.addresses.app_dsn)
        assert run.returncode == 0, f"after {name}: {run.stdout}"
