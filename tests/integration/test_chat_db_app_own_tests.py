"""chat-db-app's own tests, of the app as delivered and of the app with every reference fix in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.database_kit import FOLDER, Server, running_server

APP = FOLDER.parents[1] / "target_apps" / "chat_db_app"
FIXES = tuple(sorted(FOLDER.glob("[0-9][0-9]_*/fix.patch")))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    """With an empty database: a table that is missing must not be found beside the test's own."""
    async with running_server() as running:
        await running.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        yield running


def patched(folder: Path, fixes: tuple[Path, ...]) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    app = Path(shutil.copytree(APP, folder / "app", ignore=ignore))
    for fix in fixes:
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder)}
        subprocess.run(["git", "apply", str(fix)], cwd=app, env=environment, check=True)
    return app


@pytest.mark.parametrize("fixes", [(), FIXES], ids=["as delivered", "with every fix"])
def test_the_apps_own_tests_pass(server: Server, tmp_path: Path, fixes: tuple[Path, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=patched(tmp_path, fixes),
        env={**os.environ, "DATABASE_URL": server.addresses.app_dsn, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
