from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import asyncpg
import psutil
import pytest
import pytest_asyncio

from campaign.stack import (
    BadRulesError,
    ComponentDown,
    ComponentUp,
    LoadgenSettings,
    LocalStack,
    LocalStackConfig,
    PortInUseError,
    Ports,
    StackInUseError,
    SupervisorSettings,
    TemplateRecipe,
    discard_data,
)
from campaign.stack.log_bound import LIMIT_BYTES, aside
from campaign.stack.network import ChosenPorts, choose_ports
from campaign.stack.places import make_socket_folder
from campaign.stack.processes import is_alive
from campaign.stack.record import read_record

pytestmark = pytest.mark.alone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_module_loop = pytest.mark.asyncio(loop_scope="module")
_COMPONENTS = ("postgres", "prometheus", "supervisor", "loadgen")


async def fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE notes AS SELECT 1 AS id")
    await connection.close()


def config_in(folder: Path, run: str) -> LocalStackConfig:
    return LocalStackConfig(
        run_dir=folder / run,
        database=TemplateRecipe(key="notes", populate=fill),
        loadgen=LoadgenSettings(clients="loadgen.chat_db_app"),
        supervisor=SupervisorSettings(
            wheels_dir=folder / "wheels", environments_dir=folder / "environments"
        ),
        cache_dir=folder / "cache",
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A place that the components' users can reach, unlike pytest's own folders."""
    place = make_socket_folder()
    yield place
    shutil.rmtree(place)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(folder: Path) -> AsyncIterator[LocalStack]:
    async with LocalStack(config_in(folder, "shared")) as running:
        yield running


async def fetch(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def status_of(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        return reply.status


def pids_of(run_dir: Path) -> dict[str, int]:
    return {entry.name: entry.pid for entry in read_record(run_dir).processes}


@pytest.fixture
def socket_folders(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every folder for sockets that a stack makes from now on."""
    made: list[Path] = []

    def make() -> Path:
        made.append(make_socket_folder())
        return made[-1]

    monkeypatch.setattr("campaign.stack.site.make_socket_folder", make)
    return made


@_module_loop
async def test_every_component_is_reached_at_the_address_it_is_given(stack: LocalStack) -> None:
    at = stack.addresses
    assert await fetch(at.database.app_dsn, "SELECT id FROM notes") == 1
    assert await fetch(at.database.superuser_dsn, "SHOW is_superuser") == "on"
    assert await status_of(f"{at.prometheus_url}/-/ready") == 200
    assert await status_of(f"{at.loadgen_url}/metrics") == 200
    token = {"Authorization": f"Bearer {at.loadgen_token}"}
    assert await status_of(f"{at.loadgen_url}/ratchet/status", **token) == 200
    assert at.supervisor_socket.is_socket()
    assert {f"{name}.log" for name in _COMPONENTS} <= {log.name for log in at.logs_dir.iterdir()}


@_module_loop
async def test_a_load_generator_obeys_nobody_without_the_token(stack: LocalStack) -> None:
    assert await status_of(f"{stack.addresses.loadgen_url}/ratchet/status") == 401


@_module_loop
async def test_prometheus_has_data_as_soon_as_the_stack_is_up(stack: LocalStack) -> None:
    url = f"{stack.addresses.prometheus_url}/api/v1/query"
    async with (
        aiohttp.ClientSession() as session,
        # Whatever became of the latest scrape.
        session.get(url, params={"query": "max_over_time(up[1h]) == 1"}) as reply,
    ):
        result = (await reply.json())["data"]["result"]
    assert {"prometheus", "loadgen"} <= {series["metric"]["job"] for series in result}


@_module_loop
async def test_a_long_log_of_the_database_is_put_aside(stack: LocalStack) -> None:
    log = stack.addresses.logs_dir / "postgres.log"
    os.truncate(log, LIMIT_BYTES + 1)
    async with asyncio.timeout(60):
        # The last that is done: the log has been cut by then.
        while not aside(log).exists():  # noqa: ASYNC110 - the stack's doing
            await asyncio.sleep(0.05)
    with pytest.raises(asyncpg.UndefinedTableError):
        await fetch(stack.addresses.database.app_dsn, "SELECT 1 FROM nowhere")
    assert "nowhere" in log.read_text()
    assert aside(log).stat().st_size == LIMIT_BYTES


@_module_loop
async def test_secrets_are_not_printed(stack: LocalStack) -> None:
    assert stack.addresses.loadgen_token not in repr(stack.addresses)
    assert "ratchet:" not in repr(stack.addresses)


@_module_loop
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's children run as that user")
@pytest.mark.parametrize("name", ["postgres", "prometheus", "loadgen"])
async def test_as_root_what_can_do_without_root_does(
    stack: LocalStack, folder: Path, name: str
) -> None:
    del stack
    assert psutil.Process(pids_of(folder / "shared")[name]).uids().real != 0


@_module_loop
@pytest.mark.parametrize("name", _COMPONENTS)
async def test_a_component_that_is_killed_is_told_of_and_comes_back(
    stack: LocalStack, folder: Path, name: str
) -> None:
    events = stack.events()
    before = stack.addresses
    os.kill(pids_of(folder / "shared")[name], signal.SIGKILL)
    async with asyncio.timeout(120):
        down = await anext(events)
        assert isinstance(down, ComponentDown)
        assert (down.name, down.reason) == (name, "was killed by SIGKILL")
        # Not at once where something of it has still to end: it is tried again.
        while (event := await anext(events)) != ComponentUp(name=name):
            assert isinstance(event, ComponentDown)
            assert (event.name, event.final) == (name, False)
    assert stack.addresses == before


@_module_loop
async def test_a_restart_that_was_asked_for_is_told_of_too(stack: LocalStack, folder: Path) -> None:
    events = stack.events()
    before = pids_of(folder / "shared")["loadgen"]
    await stack.restart("loadgen")
    assert await anext(events) == ComponentDown(name="loadgen", reason="a restart was asked for")
    assert await anext(events) == ComponentUp(name="loadgen")
    assert pids_of(folder / "shared")["loadgen"] != before


@_module_loop
async def test_the_database_can_be_replaced_by_a_fresh_one(stack: LocalStack, folder: Path) -> None:
    dsn = stack.addresses.database.app_dsn
    await fetch(dsn, "INSERT INTO notes VALUES (2) RETURNING id")
    await stack.reset_database(config_in(folder, "shared").database)
    assert await fetch(dsn, "SELECT count(*) FROM notes") == 1


@_module_loop
async def test_a_run_folder_cannot_have_two_stacks(stack: LocalStack, folder: Path) -> None:
    del stack
    code = (
        "import sys; from pathlib import Path; from campaign.stack import cleanup_leftovers\n"
        "cleanup_leftovers(Path(sys.argv[1]))"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, str(folder / "shared")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert StackInUseError.__name__ in done.stderr
    assert f"in use by process {os.getpid()}" in done.stderr


async def test_a_port_that_is_taken_is_refused_and_nothing_is_left(
    folder: Path, socket_folders: list[Path]
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        ports = Ports(app=taken.getsockname()[1])
        with pytest.raises(PortInUseError):
            await LocalStack(replace(config_in(folder, "taken"), ports=ports)).start()
    assert socket_folders == []
    assert pids_of(folder / "taken") == {}


async def test_rules_that_are_wrong_are_refused_and_nothing_is_left(
    folder: Path, socket_folders: list[Path]
) -> None:
    rules = folder / "wrong.yml"
    rules.write_text("groups: [{name: a, rules: [{record: b, expr: '('}]}]")
    with pytest.raises(BadRulesError, match=r"wrong\.yml"):
        await LocalStack(replace(config_in(folder, "wrong"), rule_files=(rules,))).start()
    assert [place.exists() for place in socket_folders] == [False]
    assert pids_of(folder / "wrong") == {}


async def test_a_lost_race_for_a_free_port_is_run_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        choices: list[ChosenPorts] = []

        def quicker_thief(wanted: Ports) -> ChosenPorts:
            chosen = choose_ports(wanted)
            if not choices:
                chosen = replace(chosen, prometheus=taken.getsockname()[1])
            choices.append(chosen)
            return chosen

        monkeypatch.setattr("campaign.stack.site.choose_ports", quicker_thief)
        async with LocalStack(config_in(folder, "race")) as stack:
            assert stack.addresses.prometheus_url.endswith(f":{choices[1].prometheus}")


#: starts a stack in a process of its own and says when it is up
_HARNESS = """
import asyncio, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from campaign.stack import LocalStack
from test_stack_local import config_in

async def main(folder, run):
    async with LocalStack(config_in(folder, run)) as stack:
        print(stack.addresses.database.socket_dir.parent, flush=True)
        await asyncio.sleep(1000)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored below a background job
asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


class Harness:
    """A stack whose owner can be killed."""

    def __init__(self, folder: Path, run: str) -> None:
        self.run_dir = folder / run
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", _HARNESS, str(folder), run, here]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.sockets = Path(self.process.stdout.readline().strip())
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> list[psutil.Process]:
        """Those of its children that outlive it for long."""
        self.process.send_signal(number)
        self.process.communicate(timeout=120)
        deadline = time.monotonic() + 60
        while (alive := list(filter(is_alive, self.children))) and time.monotonic() < deadline:
            time.sleep(0.05)
        return alive


def test_ctrl_c_leaves_neither_a_process_nor_a_socket(folder: Path) -> None:
    harness = Harness(folder, "interrupted")
    assert len(harness.children) >= len(_COMPONENTS)
    assert harness.end(signal.SIGINT) == []
    assert not harness.sockets.exists()
    assert pids_of(harness.run_dir) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
async def test_a_killed_harness_leaves_no_process_and_its_database_is_found_again(
    folder: Path,
) -> None:
    harness = await asyncio.to_thread(Harness, folder, "killed")
    dsn = f"postgresql://chat@/chat?host={harness.sockets}/pg"
    await fetch(dsn, "INSERT INTO notes VALUES (7) RETURNING id")
    assert await asyncio.to_thread(harness.end, signal.SIGKILL) == []
    assert harness.sockets.exists()

    async with LocalStack(config_in(folder, "killed")) as stack:
        assert not harness.sockets.exists()
        dsn = stack.addresses.database.app_dsn
        assert await fetch(dsn, "SELECT array_agg(id ORDER BY id) FROM notes") == [1, 7]
    discard_data(harness.run_dir)
    assert not (harness.run_dir / "stack").exists()
