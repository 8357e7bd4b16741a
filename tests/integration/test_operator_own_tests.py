"""The app's own tests in the operator's shell, as the app's README says to run them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from campaign.adapters.instruments import Places, open_instruments
from campaign.adapters.workspace import Workspace
from campaign.seeding import app_environments
from campaign.stack import APP_ROLE
from campaign.staff import environment_for
from tests.integration.database_kit import Server, running_server
from tests.integration.instrument_kit import NO_SANDBOX, workspace
from tests.integration.test_instrument_opening import NoRecords

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}"),
]

APP = Path(__file__).parents[2] / "target_apps" / "chat_db_app"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server() as server:
        yield server


async def in_shell(server: Server, source: Path, command: str) -> str:
    """What it prints in the shell of an operator, whose workspace holds the app of `source`."""
    environments = app_environments()
    with workspace() as place:
        files = Workspace(place.parent)
        await files.create(source)
        places = Places(
            workspace=files.path,
            confined=True,
            app_socket=place / "app.sock",
            app_dsn=server.addresses.app_dsn,
            app_role=APP_ROLE,
            database_dir=server.addresses.socket_dir,
            prometheus_url="http://127.0.0.1:9",
            logs_dir=place,
            python_environment=await environment_for(environments, source),
        )
        before = await files.present_tree()
        async with (
            open_instruments(places, records=NoRecords()) as instruments,
            instruments.shells.open() as shell,
        ):
            done = await shell.run(command, timeout_s=240)
        # Nothing of a test run is deployed.
        assert await files.present_tree() == before
        return f"{done.output}[{done.exit_code}]"


async def test_the_apps_own_tests_run_as_its_readme_says(server: Server) -> None:
    said = (APP / "README.md").read_text()
    assert "-r requirements-dev.txt" in said
    assert "python -m pytest\n" in said
    output = await in_shell(server, APP, "python -m pytest -q")
    assert " passed" in output, output
    assert output.endswith("[0]"), output
    assert "skipped" not in output
    left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'test\\_%'"
    assert await server.fetchval(left) == 0


@pytest.mark.parametrize("asked", ["no-such-tool-for-tests==1.0\n", "-r /etc/passwd\n"])
async def test_an_operator_that_asks_for_what_is_not_to_be_had_still_has_a_shell(
    server: Server, tmp_path: Path, asked: str
) -> None:
    # What Python keeps there may be written meanwhile.
    ignore = shutil.ignore_patterns("__pycache__")
    source = Path(shutil.copytree(APP, tmp_path / "app", ignore=ignore))
    (source / "requirements-dev.txt").write_text(asked)
    output = await in_shell(server, source, "python -c 'import aiohttp, asyncpg; print(1)'")
    assert output == "1\n[0]"
