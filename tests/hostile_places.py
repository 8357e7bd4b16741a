"""What lies about in the arena of hostile operators: files, processes, sockets and services.

All of it has the arena's secret in it, and is open to whoever is not confined.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import resource
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from campaign.adapters.instruments.cgroup import GroupLimits, make_group
from campaign.identity import DATABASE_USER, PROMETHEUS_USER, app_identity, identity_for, launcher
from campaign.stack.folders import private_folder as owned_folder
from campaign.stack.postgres import PostgresAddresses
from campaign.stack.programs import find_postgres, find_prometheus
from campaign.stack.prometheus import PrometheusServer, ScrapeJob
from campaign.stack.service import Service
from campaign.stack.template import TemplateRecipe, TemplateStore
from loadgen.testing import held_port
from tests.hostile_attacks import Attack

#: prlimit(2)'s number, which Python does not name
RLIMIT_NICE = 13
#: of all that a supervisor and its app have together, where that is bounded
GROUP_BYTES = 300 << 20

#: waits to be killed; what it is to be killed by, and its key, are in its arguments
_VICTIM = "import time\nwhile True: time.sleep(60)"
_PATIENT_S = 60.0


def own_address() -> str:
    """Of this machine on a network, without sending anything; else another of the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(probe.getsockname()[0])


def plant_files(folder: Path, secret: str) -> None:
    folder.mkdir(mode=0o755)
    for name in ("profile.yaml", "fix.patch", "machine.py", "journal.db", "api.key"):
        (folder / name).write_text(f"{name}: {secret}\n")
    (folder / "forgeable.db").touch()
    (folder / "forgeable.db").chmod(0o666)


@contextmanager
def priorities() -> Iterator[None]:
    """As on a system where users may raise theirs, for sound; where we cannot, nobody can."""
    before = resource.getrlimit(RLIMIT_NICE)
    with suppress(ValueError, OSError):
        resource.setrlimit(RLIMIT_NICE, (40, 40))
    try:
        yield
    finally:
        resource.setrlimit(RLIMIT_NICE, before)


def require_feasible(attack: Attack) -> None:
    """Skips what this machine itself makes impossible, whatever the controls."""
    needs_priority = attack.control == "no priority to be raised"
    if needs_priority and resource.getrlimit(RLIMIT_NICE) == (0, 0):
        pytest.skip("nobody can be allowed to raise a priority on this machine")
    if "scheduling group's share" in attack.name and not Path("/proc/self/autogroup").exists():
        pytest.skip("this machine has no scheduling groups of sessions")


@asynccontextmanager
async def a_service(secret: str) -> AsyncIterator[int]:
    """Stands for Locust, the daemon and all else that listens on the machine."""

    async def told(_: web.Request) -> web.Response:
        return web.Response(text=f'ratchet_campaign_phase{{phase="{secret}"}} 1\n')

    service = web.Application()
    service.router.add_route("*", "/{path:.*}", told)
    runner = web.AppRunner(service, access_log=None)
    await runner.setup()
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - another machine's view
        await web.SockSite(runner, listener).start()
        try:
            yield listener.getsockname()[1]
        finally:
            await runner.cleanup()


@asynccontextmanager
async def an_abstract_socket(secret: str) -> AsyncIterator[str]:
    """A Unix socket without a file, as desktops have them; gives its name."""
    name = f"ratchet-hostile-{secrets.token_hex(4)}"

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(secret.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(told, f"\0{name}"):
        yield name


@contextmanager
def shared_memory(secret: str) -> Iterator[int]:
    """A segment that everybody may read, as its key."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    key = secrets.randbelow(1 << 30) + 1
    segment = libc.shmget(key, 4096, 0o1666)
    assert segment >= 0, os.strerror(ctypes.get_errno())
    try:
        ctypes.memmove(libc.shmat(segment, None, 0), secret.encode() + b"\0", len(secret) + 1)
        yield key
    finally:
        libc.shmctl(segment, 0, None)


async def start_victim(secret: str) -> asyncio.subprocess.Process:
    """Of the user that the sandboxes have, too: as where the harness is an ordinary user's."""
    return await asyncio.create_subprocess_exec(
        *launcher(app_identity()), "/usr/bin/python3", "-c", _VICTIM, "victim", secret
    )


@asynccontextmanager
async def a_database(folder: Path) -> AsyncIterator[PostgresAddresses]:
    async def populate(dsn: str) -> None:
        del dsn

    store = TemplateStore(
        cache_dir=folder / "cache", programs=find_postgres(), identity=identity_for(DATABASE_USER)
    )
    cluster = await store.fresh(
        TemplateRecipe(key="empty, for tests", populate=populate), folder / "pgdata"
    )
    sockets = owned_folder(folder / "pg", cluster.identity, mode=0o711)
    service = Service(cluster.service(socket_dir=sockets, log_file=folder / "postgres.log"))
    await service.start()
    try:
        yield cluster.addresses(sockets)
    finally:
        await service.stop()


@asynccontextmanager
async def a_prometheus(folder: Path, port: int, secret: str) -> AsyncIterator[PrometheusServer]:
    """Its configuration and what it scrapes have the secret in them."""
    with held_port() as own_port:
        server = PrometheusServer(
            programs=find_prometheus(),
            folder=folder / "prometheus",
            port=own_port,
            identity=identity_for(PROMETHEUS_USER),
            jobs=(ScrapeJob(name="ratchet", port=port, path=f"/{secret}"),),
        )
        await server.configure()
        service = Service(server.service(log_file=folder / "prometheus.log"))
        await service.start()
        try:
            yield server
        finally:
            await service.stop()


@contextmanager
def memory_group() -> Iterator[Path]:
    """A control group of `GROUP_BYTES`; skips where none can be had."""
    made, limit = Path(f"/sys/fs/cgroup/memory/ratchet-hostile-{os.getpid()}"), ""
    try:
        if made.parent.is_dir():
            made.mkdir()
            limit = "memory.limit_in_bytes"
        elif found := make_group(GroupLimits(memory_bytes=GROUP_BYTES, processes=400)):
            made, limit = found.path, "memory.max"
        if not limit:
            pytest.skip("no control group for memory can be made here")
        (made / limit).write_text(str(GROUP_BYTES))
    except OSError as error:
        pytest.skip(f"no control group for memory can be made here: {error}")
    try:
        yield made
    finally:
        _until_empty(made)
        made.rmdir()


def _until_empty(group: Path) -> None:
    """What was killed there ends when the kernel comes to it."""
    deadline = time.monotonic() + _PATIENT_S
    while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)


async def until_killed(group: Path) -> None:
    """Until the kernel has ended a process of the group for want of memory."""
    names = ("memory.oom_control", "memory.events")
    file = next(group / name for name in names if (group / name).exists())
    async with asyncio.timeout(_PATIENT_S):
        while not re.search(r"oom_kill [1-9]", file.read_text()):  # noqa: ASYNC110 - a kernel's file
            await asyncio.sleep(0.02)
