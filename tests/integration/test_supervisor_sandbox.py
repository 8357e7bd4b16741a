import asyncio
import os
import shutil
from contextlib import AsyncExitStack

import psutil
import pytest

from loadgen.testing import held_port
from tests.integration.supervisor_kit import (
    NO_SANDBOX,
    Stage,
    healthy,
    private_folder,
    session,
    supervised,
    until,
)

sandboxed = pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")

LOOK_AROUND = """
import glob
result = {
    "root": sorted(os.listdir("/")),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "source": sorted(os.listdir("/srv/app")),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "tmp": os.listdir("/tmp"),
    "descriptors": {
        number: os.readlink(f"/proc/self/fd/{number}").split(":")[0]
        for number in ("0", "1", "2", "3")
    },
    "environment": sorted(os.environ),
    "uid": os.getuid(),
    "database": os.listdir("/run/postgresql"),
    "home": [path for path in ("/root", "/home", "/work", "/etc/passwd") if os.path.exists(path)],
}
"""

TRY_TO_WRITE = """
result = []
for path in ("/srv/app/main.py", "/srv/app/new", "/new", "/usr/new", sys.prefix + "/new"):
    try:
        open(path, "a").close()
        result.append(path)
    except OSError:
        pass
open("/tmp/scratch", "w").close()
"""

TRY_TO_NEST = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
NEW_USER = 0x10000000
result = [libc.unshare(NEW_USER), open("/proc/self/status").read().split("CapEff:")[1].split()[0]]
"""


@sandboxed
async def test_the_app_sees_its_source_its_environment_the_database_and_nothing_else() -> None:
    database = private_folder()
    (database / ".s.PGSQL.5432").touch()
    os.environ["HARNESS_SECRET"] = "hidden"  # noqa: S105 - no real one
    try:
        async with supervised(
            database_dir=str(database), environment={"DATABASE_URL": "postgresql://chat@/chat"}
        ) as stage:
            await stage.deploy_app("one", healthy("one"))
            seen = await stage.run_inside(LOOK_AROUND)
    finally:
        del os.environ["HARNESS_SECRET"]
        shutil.rmtree(database)
    assert {"bin", "dev", "etc", "proc", "run", "srv", "tmp", "usr"} <= set(seen["root"])
    assert seen["processes"] == ["1", "2"]
    assert seen["source"] == ["main.py", "requirements.txt"]
    assert seen["interfaces"] == ["lo"]
    assert seen["tmp"] == ["ratchet-tests-" + str(os.geteuid())]
    assert seen["database"] == [".s.PGSQL.5432"]
    assert seen["home"] == []
    assert seen["descriptors"] == {"0": "/dev/null", "1": "pipe", "2": "pipe", "3": "socket"}
    assert "HARNESS_SECRET" not in seen["environment"]
    assert {"DATABASE_URL", "LISTEN_FD", "PATH"} <= set(seen["environment"])
    assert seen["uid"] != 0


@sandboxed
async def test_the_app_can_write_only_to_its_private_tmp_and_gain_nothing() -> None:
    async with supervised() as stage:
        await stage.deploy_app("one", healthy("one"))
        assert await stage.run_inside(TRY_TO_WRITE) == []
        assert await stage.run_inside(TRY_TO_NEST) == [-1, "0000000000000000"]


@sandboxed
async def test_limits_hold_inside() -> None:
    limits = {"processes": 20, "file_size_bytes": 4096, "address_space_bytes": 1 << 30}
    async with supervised(limits=limits) as stage:
        await stage.deploy_app("one", healthy("one"))
        code = """
import resource
result = [
    resource.getrlimit(name)[0]
    for name in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_AS)
]
"""
        assert await stage.run_inside(code) == [20, 4096, 1 << 30]
        too_much = "import pathlib\npathlib.Path('/tmp/big').write_bytes(b'x' * 8192)"
        async with (
            session(stage.app_socket) as http,
            http.post("http://app/run", json={"code": too_much}) as response,
        ):
            assert response.status == 500


async def test_a_log_flood_neither_grows_memory_nor_blocks_the_supervisor() -> None:
    flood = """
import threading
def shout():
    line = "x" * 200 + "\\n"
    while True:
        try:
            os.write(1, (line * 50).encode())
        except OSError:
            pass
threading.Thread(target=shout, daemon=True).start()
"""
    async with supervised(log_bytes=1 << 20) as stage:
        assert (await stage.deploy_app("loud", healthy("loud", extra=flood))).ok
        await until(lambda: _says(stage, "of log dropped"), what="the flood is cut")
        async with asyncio.timeout(60):
            for _ in range(20):
                await stage.client.status()
        assert len(await stage.client.logs(tail=2000)) == 2000
        assert psutil.Process(stage.process.pid).memory_info().rss < 150 << 20
        # While one is put aside there is no other for a moment.
        await until(lambda: _is_kept(stage, {"app.log", "app.log.1"}), what="there are two files")
        sizes = [path.stat().st_size for path in stage.folder.glob("app.log*")]
        assert max(sizes) < (1 << 20) + (2 << 20)
        assert (await stage.deploy_app("calm", healthy("calm"))).ok


async def _is_kept(stage: Stage, names: set[str]) -> bool:
    return {path.name for path in stage.folder.glob("app.log*")} == names


async def _says(stage: Stage, words: str) -> bool:
    return any(words in line for line in await stage.client.logs(tail=2000))


async def test_the_relay_serves_tcp_within_its_bound() -> None:
    async with AsyncExitStack() as stack:
        port = stack.enter_context(held_port())
        stage = await stack.enter_async_context(supervised(relay_port=port, relay_connections=2))
        await stage.deploy_app("one", healthy("one"))
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = held[0]
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: app\r\n\r\n")
        assert b"200 OK" in await reader.readline()
        turned_away, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await turned_away.read() == b""
        for _, each in held:
            each.close()


async def test_a_plain_process_is_run_drained_and_ended_like_a_confined_one() -> None:
    async with supervised(sandbox="none") as stage:
        await stage.deploy_app("one", healthy("one"))
        assert (await stage.client.status()).source_hash is not None
        slow = asyncio.create_task(stage.get("/slow?seconds=2"))
        await until(lambda: _one_waits(stage), what="the slow request is under way")
        assert (await stage.deploy_app("two", healthy("two"))).ok
        assert (await slow)["version"] == "one"
        await until(lambda: _drained(stage), what="the first one ended by itself")


async def _one_waits(stage: Stage) -> bool:
    return bool(await stage.run_inside("result = WAITING") == 1)


async def _drained(stage: Stage) -> bool:
    last = (await stage.client.status()).last_exit
    return last is not None and (last.code, last.expected) == (0, True)
