import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.integration.supervisor_kit import (
    NO_SANDBOX,
    Stage,
    alive,
    healthy,
    private_folder,
    session,
    supervised,
    until,
)

SYNTAX_ERROR = "import os\n\ndef main(:\n    pass\n"
IMPORT_ERROR = "import nowhere_to_be_found\n"
DIES = "import sys\nprint('configuration missing', flush=True)\nsys.exit(3)\n"
KILLED = "import os\nos.kill(os.getpid(), 9)\n"
HANGS = "import time\nprint('thinking', flush=True)\ntime.sleep(600)\n"
ANSWERS_503 = healthy("sick").replace(
    'return web.json_response({"version": VERSION})',
    "return web.Response(status=503)",
    1,
)

#: How long an app may take to come up where some are given up: also a healthy one must make it.
PATIENCE_S = 15

ENDS = {
    "syntax error": (
        SYNTAX_ERROR,
        "exited with code 1: SyntaxError: invalid syntax (main.py, line 3)",
    ),
    "import error": (
        IMPORT_ERROR,
        "exited with code 1: ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    ),
    "exit code": (DIES, "exited with code 3; last log lines: configuration missing"),
    "signal": (KILLED, "was ended by SIGKILL; no output"),
}
NEVER_HEALTHY = {
    "hangs": (HANGS, "(last health probe: no answer within 4 s)"),
    "unhealthy": (ANSWERS_503, "(last health probe: answered 503)"),
}


async def test_whatever_is_wrong_with_a_new_app_the_old_one_serves_on_and_the_reason_is_given() -> (
    None
):
    async with supervised() as stage:
        await _refused(stage, ENDS)


async def test_an_app_that_does_not_become_healthy_is_given_up_and_the_old_one_serves_on() -> None:
    async def given_up(name: str) -> None:
        main, words = NEVER_HEALTHY[name]
        reason = f"was not healthy within {PATIENCE_S} s {words}"
        async with supervised(health_timeout_s=PATIENCE_S, probe_timeout_s=4) as stage:
            await _refused(stage, {name: (main, reason)})

    await asyncio.gather(*map(given_up, NEVER_HEALTHY))


async def _refused(stage: Stage, apps: Mapping[str, tuple[str, str]]) -> None:
    """Each of these for the reason that stands beside it."""
    assert (await stage.deploy_app("good", healthy("good"))).ok
    pid = await stage.pid()
    for name, (main, reason) in apps.items():
        result = await stage.deploy_app(name, main)
        assert not result.ok, name
        assert result.reason is not None
        assert result.reason.startswith(reason), (name, result.reason)
        status = await stage.client.status()
        assert (status.state, status.revision, status.pid) == ("running", "good", pid)
        assert await stage.version() == "good"
    assert os.listdir(stage.folder / "app") == ["app.sock"]  # noqa: PTH208 - names


async def test_a_first_deployment_has_nothing_to_go_back_to() -> None:
    async with supervised() as stage:
        result = await stage.deploy_app("broken", SYNTAX_ERROR)
        assert "SyntaxError" in (result.reason or "")
        assert "def main(:" in "\n".join(result.log_tail)
        status = await stage.client.status()
        assert (status.state, status.deployment, status.pid) == ("stopped", None, None)
        assert status.last_exit is not None
        assert (status.last_exit.code, status.last_exit.expected) == (1, False)
        assert (await stage.deploy_app("good", healthy("good"))).ok


async def test_a_source_that_does_not_exist_is_refused() -> None:
    async with supervised() as stage:
        result = await stage.deploy(Path("/does/not/exist"))
        assert not result.ok
        assert "/does/not/exist" in (result.reason or "")


async def test_requirements_from_the_wheel_cache_are_installed_and_others_refused() -> None:
    async with supervised() as stage:
        await stage.deploy_app("good", healthy("good"))
        missing, unlike = "nowhere==1.0 is not in the wheel cache", "is not a plain requirement"
        wants = {
            "missing": ("attrs\nnowhere==1.0\n", missing),
            "local": ("./\n", f"requirements.txt:1: './' {unlike}"),
            "option": ("--index-url=http://evil\n", unlike),
            "address": ("attrs @ file:///etc\n", "addresses are not allowed"),
        }
        for name, (requirements, reason) in wants.items():
            result = await stage.deploy(
                stage.source(name, healthy(name), requirements=requirements)
            )
            assert not result.ok
            assert reason in (result.reason or ""), result
            assert await stage.version() == "good"
        more = stage.source("more", healthy("more"), requirements="aiohttp\nattrs  # extra\n")
        assert (await stage.deploy(more)).ok
        assert await stage.version() == "more"


async def _ask(stage: Stage, stop: asyncio.Event, seen: set[str]) -> None:
    """Ask on fresh connections; a failed request fails the test."""
    while not stop.is_set():
        seen.add(await stage.version())


async def _version(http: aiohttp.ClientSession) -> str:
    async with http.get("http://app/healthz") as response:
        return str((await response.json())["version"])


async def _is(stage: Stage, state: str) -> bool:
    return (await stage.client.status()).state == state


async def _is_running(stage: Stage, revision: str) -> bool:
    status = await stage.client.status()
    return (status.state, status.revision, status.healthy) == ("running", revision, True)


async def _is_unhealthy(stage: Stage) -> bool:
    return not (await stage.client.status()).healthy


async def _has_died(stage: Stage, times: int) -> bool:
    status = await stage.client.status()
    return status.restarts >= times or status.state == "crashed"


async def _last_signal(stage: Stage, name: str) -> bool:
    last = (await stage.client.status()).last_exit
    return last is not None and last.signal == name


async def _dead(pid: int) -> bool:
    return not alive(pid)


async def _both_run(stage: Stage) -> bool:
    return (await stage.client.logs(tail=1)) == ("thinking",)


#: Pretends that a database has one slot: a lock file in a folder that both processes see.
ONE_SLOT = """
slot = socket.socket(socket.AF_UNIX)
slot.connect("/run/postgresql/slots")
if slot.recv(8) != b"welcome":
    raise SystemError("sorry, too many clients already")
"""


async def _serve_one_slot(folder: Path) -> asyncio.Server:
    """Let one client in at a time, as a database with a single free connection would."""
    taken = asyncio.Lock()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if taken.locked():
            writer.write(b"full")
            writer.close()
            return
        async with taken:
            writer.write(b"welcome")
            await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(client, folder / "slots")
    (folder / "slots").chmod(0o666)
    return server


@pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")
async def test_an_app_that_holds_every_connection_is_drained_first() -> None:
    folder = private_folder()
    server = await _serve_one_slot(folder)
    async with server, supervised(database_dir=str(folder)) as stage:
        await stage.deploy_app("one", healthy("one", extra=ONE_SLOT))
        stop, seen = asyncio.Event(), {await stage.version()}
        asking = asyncio.create_task(_ask(stage, stop, seen))
        result = await stage.deploy_app("two", healthy("two", extra=ONE_SLOT))
        assert (result.ok, result.drained_first) == (True, True), result
        broken = ONE_SLOT + "raise ValueError('new code')"
        result = await stage.deploy_app("three", healthy("three", extra=broken))
        assert (result.ok, result.drained_first) == (False, True), result
        assert "ValueError: new code" in (result.reason or "")
        await until(lambda: _is_running(stage, "two"), what="the former source runs again")
        stop.set()
        await asking
        assert seen == {"one", "two"}
    shutil.rmtree(folder)


async def test_an_app_that_dies_is_restarted_on_the_same_listener() -> None:
    async with supervised() as stage:
        await stage.deploy_app("mortal", healthy("mortal"))
        first = await stage.pid()
        os.kill(first, signal.SIGKILL)
        assert await stage.version() == "mortal"
        status = await stage.client.status()
        assert status.pid != first
        assert status.restarts == 1
        assert status.last_exit is not None
        assert (status.last_exit.signal, status.last_exit.expected) == ("SIGKILL", False)


async def test_an_app_that_dies_too_often_is_crashed_until_a_new_deployment() -> None:
    async with supervised(restart_limit=1) as stage:
        await stage.deploy_app("mortal", healthy("mortal"))
        for deaths in (1, 2):
            await until(lambda: _is_running(stage, "mortal"), what="it runs")
            os.kill(await stage.pid(), signal.SIGKILL)
            await until(partial(_has_died, stage, deaths), what="it was noticed")
        await until(lambda: _is(stage, "crashed"), what="it is given up")
        async with session(stage.app_socket) as http:
            waiting = asyncio.create_task(_version(http))
            assert (await stage.deploy_app("better", healthy("better"))).ok
            assert await waiting == "better"
        assert await stage.version() == "better"


async def test_a_hanging_app_is_unhealthy_but_not_restarted() -> None:
    async with supervised(probe_timeout_s=0.2) as stage:
        await stage.deploy_app("hangs", healthy("hangs"))
        pid = await stage.pid()
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: _is_unhealthy(stage), what="the hang is noticed")
        status = await stage.client.status()
        assert (status.state, status.pid, status.restarts) == ("running", pid, 0)
        os.kill(pid, signal.SIGCONT)
        await until(lambda: _is_running(stage, "hangs"), what="it is healthy again")


async def test_clients_queued_at_a_hanging_app_are_answered_by_the_next_one() -> None:
    async with supervised(probe_timeout_s=0.2, drain_timeout_s=1) as stage:
        await stage.deploy_app("hangs", healthy("hangs"))
        os.kill(await stage.pid(), signal.SIGSTOP)
        async with session(stage.app_socket) as http:
            waiting = [asyncio.create_task(_version(http)) for _ in range(50)]
            await asyncio.gather(*(asyncio.sleep(0.01) for _ in waiting))
            assert (await stage.deploy_app("next", healthy("next"))).ok
            assert set(await asyncio.gather(*waiting)) == {"next"}


async def test_an_app_that_ignores_sigterm_is_killed_after_the_drain() -> None:
    main = healthy("deaf", extra="import signal")
    main = main.replace("print=None", "print=None, handle_signals=False")
    main = main.replace("    listener =", "    signal.signal(15, signal.SIG_IGN)\n    listener =")
    async with supervised(drain_timeout_s=0.5) as stage:
        await stage.deploy_app("deaf", main)
        pid = await stage.pid()
        assert (await stage.deploy_app("next", healthy("next"))).ok
        assert await stage.version() == "next"
        await until(lambda: _dead(pid), what="the deaf process is gone")
        await until(lambda: _last_signal(stage, "SIGKILL"), what="its end is recorded")


async def test_killing_the_supervisor_leaves_no_process_and_marks_what_was_under_way() -> None:
    async with supervised() as stage:
        await stage.deploy_app("good", healthy("good"))
        app = await stage.pid()
        never = stage.source("never", HANGS)
        under_way = asyncio.create_task(stage.deploy(never, name="cut-off"))
        await until(lambda: _both_run(stage), what="both processes run")
        family = psutil.Process(stage.process.pid).children(recursive=True)
        assert app in {each.pid for each in family}
        stage.process.kill()
        await asyncio.gather(under_way, return_exceptions=True)
        for each in family:
            await until(partial(_dead, each.pid), what=f"process {each.pid} is gone")
        await stage.process.wait()
        async with supervised(stage.folder) as second:
            results = {each.id: each for each in await second.client.deployments()}
            assert (results["cut-off"].ok, results["cut-off"].reason) == (False, "interrupted")
            assert results["d1"].ok
            assert (await second.client.status()).state == "stopped"


@pytest.mark.parametrize("how", ["SIGTERM", "POST /stop"])
async def test_stopping_ends_the_app_and_removes_the_sockets(how: str) -> None:
    async with supervised() as stage:
        await stage.deploy_app("good", healthy("good"))
        app = await stage.pid()
        family = psutil.Process(stage.process.pid).children(recursive=True)
        if how == "SIGTERM":
            stage.process.terminate()
        else:
            await stage.client.stop()
        assert await asyncio.wait_for(stage.process.wait(), 60) == 0
        assert not alive(app)
        # What the sandbox is made of follows the app.
        for each in family:
            await until(partial(_dead, each.pid), what=f"process {each.pid} is gone")
        assert not stage.app_socket.exists()
        assert not (stage.folder / "supervisor.sock").exists()
