"""A supervisor in a process of its own with toy apps, for the tests beside this file."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from filelock import FileLock

from campaign.identity import app_identity
from campaign.sandbox import unavailable
from campaign.supervisor import (
    DeploymentRequest,
    DeploymentResult,
    SupervisorClient,
    SupervisorError,
    find_interpreter,
    prepare_wheels,
)

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = "aiohttp==3.14.5\n"

#: Says why there is no sandbox here; None where there is one.
NO_SANDBOX = unavailable(app_identity())
SANDBOX = "none" if NO_SANDBOX else "bubblewrap"

#: A healthy app: `VERSION` tells deployments apart; extra lines run before it serves.
HEALTHY = """
import asyncio, os, socket, sys, time
from aiohttp import web

VERSION = {version!r}
{extra}

async def healthz(request):
    return web.json_response({{"version": VERSION}})

WAITING = 0

async def slow(request):
    global WAITING
    WAITING += 1
    await asyncio.sleep(float(request.query["seconds"]))
    return web.json_response({{"version": VERSION}})

async def run(request):
    code = (await request.json())["code"]
    space = dict(globals())
    exec(code, space)
    return web.json_response(space.get("result"))

app = web.Application()
app.add_routes([
    web.get("/healthz", healthz), web.get("/slow", slow), web.post("/run", run),
])
if __name__ == "__main__":
    listener = socket.socket(fileno=int(os.environ["LISTEN_FD"]))
    web.run_app(app, sock=listener, print=None, access_log=None, shutdown_timeout=8)
"""


def healthy(version: str, *, extra: str = "") -> str:
    return HEALTHY.format(version=version, extra=extra)


@cache
def caches() -> Path:
    """Return a folder with wheels and environments that outlives the test run.

    It must be readable by the app's user, so it is below neither the repository nor pytest's
    private folders.
    """
    folder = Path(tempfile.gettempdir()) / f"ratchet-tests-{os.geteuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    wheels = folder / "wheels"
    # Another worker may be at it: the first wheel is there before the last one.
    with FileLock(folder / "wheels.lock"):
        if not list(wheels.glob("aiohttp-3.14.5-*")):
            requirements = folder / "requirements.txt"
            requirements.write_text(REQUIREMENTS)
            prepare_wheels(requirements, wheels, python=find_interpreter(app_identity()).path)
    return folder


@dataclass(slots=True, kw_only=True)
class Stage:
    """A running supervisor."""

    folder: Path
    process: asyncio.subprocess.Process
    client: SupervisorClient
    deployments: int = 0

    @property
    def app_socket(self) -> Path:
        return self.folder / "app" / "app.sock"

    def source(self, name: str, main: str, *, requirements: str | None = REQUIREMENTS) -> Path:
        """Write an app into a folder of its own."""
        folder = self.folder / "sources" / name
        folder.mkdir(parents=True)
        (folder / "main.py").write_text(main)
        if requirements is not None:
            (folder / "requirements.txt").write_text(requirements)
        return folder

    async def deploy(self, source: Path, *, name: str | None = None) -> DeploymentResult:
        self.deployments += 1
        wanted = name or f"d{self.deployments}"
        return await self.client.deploy(
            DeploymentRequest(id=wanted, revision=source.name, source=str(source)), timeout_s=90
        )

    async def deploy_app(self, name: str, main: str) -> DeploymentResult:
        return await self.deploy(self.source(name, main))

    async def version(self) -> str:
        answer = await self.get("/healthz")
        return str(answer["version"])

    async def get(self, path: str) -> Any:
        async with session(self.app_socket) as http, http.get(f"http://app{path}") as response:
            response.raise_for_status()
            return await response.json()

    async def run_inside(self, code: str) -> Any:
        """Run Python inside the app; return what it assigned to `result`."""
        async with (
            session(self.app_socket) as http,
            http.post("http://app/run", json={"code": code}) as response,
        ):
            response.raise_for_status()
            return await response.json()

    async def pid(self) -> int:
        pid = (await self.client.status()).pid
        assert pid is not None
        return pid


def session(path: Path, *, timeout_s: float = 60.0) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(path=str(path), limit=0),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    )


def private_folder() -> Path:
    """Return a short folder that the app's user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="ratchet-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


def configuration(folder: Path, **overrides: Any) -> dict[str, Any]:
    return {
        "app_dir": str(folder / "app"),
        "control_socket": str(folder / "supervisor.sock"),
        "state_dir": str(folder / "state"),
        "log_file": str(folder / "app.log"),
        "environments_dir": str(caches() / "environments"),
        "wheel_cache": str(caches() / "wheels"),
        "sandbox": SANDBOX,
        "probe_interval_s": 0.1,
        "health_timeout_s": 20,
        "drain_timeout_s": 5,
        **overrides,
    }


@asynccontextmanager
async def supervised(
    folder: Path | None = None,
    *,
    program: Sequence[str] = ("campaign.supervisor",),
    added: Mapping[str, str] | None = None,
    **overrides: Any,
) -> AsyncIterator[Stage]:
    """Run a supervisor; end it, and look that nothing of it is left."""
    home = folder or private_folder()
    config = home / "supervisor.json"
    config.write_text(json.dumps(configuration(home, **overrides)))
    process = await start(config, program=program, added=added)
    try:
        async with SupervisorClient(home / "supervisor.sock") as client:
            stage = Stage(folder=home, process=process, client=client)
            await until(lambda: answers(stage), what="the supervisor answers")
            yield stage
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 60)
        if folder is None:
            shutil.rmtree(home)


async def start(
    config: Path,
    *,
    program: Sequence[str] = ("campaign.supervisor",),
    added: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    """`program` is the module; `added` to its environment."""
    log = (config.parent / "supervisor.log").open("ab")
    with log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", *program, "--config", str(config),
            cwd=REPOSITORY, stderr=log, env={**os.environ, **(added or {})},
        )  # fmt: skip


async def answers(stage: Stage) -> bool:
    assert stage.process.returncode is None, (stage.folder / "supervisor.log").read_text()
    try:
        await stage.client.status()
    except SupervisorError:
        return False
    return True


async def until(
    condition: Callable[[], Awaitable[bool]], *, what: str, timeout_s: float = 60.0
) -> None:
    """Wait for the thing itself."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await condition():  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"did not happen within {timeout_s:g} s: {what}") from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def alive(pid: int) -> bool:
    """Tell whether a process exists and is not merely waiting to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
