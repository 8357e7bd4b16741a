"""The operator's shells as a service: of users of their own, without a sandbox of ours around them.

Needs to be root, as the service is in its container.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import web
from operators import ToolError

from campaign.adapters.instruments import Allowance
from campaign.adapters.instruments.lodger import Lodger
from campaign.adapters.workspace import Workspace
from campaign.identity import Identity
from campaign.ports import PortError
from campaign.shell_service.client import RemoteSandbox, RemoteShells
from campaign.shell_service.service import Quarters, ShellService
from campaign.shell_service.work_tree import SharedTree, TreeOfOne
from tests.integration.instrument_kit import processes_with, workspace

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it becomes other users")

#: of what is looked for in turns that get longer on a busy machine
PATIENT_S = 120.0
ROOT = Path(__file__).parents[2]


def nobody_else() -> Identity:
    """A user that nothing on this machine runs as: all that he runs is ended."""
    number = 400_000 + secrets.randbelow(100_000)
    return Identity(user=str(number), uid=number, gid=number)


def is_there(path: str) -> bool:
    return os.path.lexists(path)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A service that runs, and where it is."""

    socket: Path
    workspace: Path
    worker: Identity

    @property
    def shells(self) -> RemoteShells:
        return RemoteShells(socket=self.socket)

    @property
    def tree(self) -> SharedTree:
        return SharedTree(path=self.workspace, sandbox=RemoteSandbox(socket=self.socket))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    with workspace() as place:
        async with _serving(place, tmp_path) as served:
            yield served


@asynccontextmanager
async def _serving(place: Path, folder: Path) -> AsyncIterator[Served]:
    worker, looker = nobody_else(), nobody_else()
    # As the container has it: a folder of ours, in which he may write.
    os.chown(place, os.geteuid(), worker.gid)
    os.chmod(place, 0o2775)  # noqa: PTH101, S103 - a private one above it
    quarters = Quarters(
        workspace=place,
        environments=folder / "environments",
        worker=Lodger(worker),
        looker=Lodger(looker),
        allowance=Allowance(memory_bytes=192 << 20, disk_bytes=32 << 20, files=500),
    )
    service = ShellService(quarters)
    runner = web.AppRunner(service.application(), handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    socket = folder / "shell.sock"
    try:
        await web.UnixSite(runner, str(socket)).start()
        yield Served(socket=socket, workspace=place, worker=worker)
    finally:
        await runner.cleanup()
        await service.clear()


async def test_a_shell_lasts_from_command_to_command_as_its_own_user(served: Served) -> None:
    async with served.shells.open() as shell:
        await shell.run("A=3; echo x > file; cd /", timeout_s=PATIENT_S)
        done = await shell.run(
            "echo $A $PWD; id -u; exit_code() { return 7; }; exit_code", timeout_s=PATIENT_S
        )
    assert (done.exit_code, done.output) == (7, f"3 /\n{served.worker.uid}\n")
    assert (served.workspace / "file").stat().st_uid == served.worker.uid


async def test_a_session_leaves_neither_processes_nor_files_behind(served: Served) -> None:
    word, hidden = f"9{secrets.randbelow(10**8)}", f"/tmp/{secrets.token_hex(8)}"  # noqa: S108
    async with served.shells.open() as shell:
        command = (
            "mkfifo begun; "
            f"setsid setsid sh -c 'echo > begun; exec sleep {word}' >/dev/null 2>&1 & "
            f"mkdir -p {hidden}/in; touch {hidden}/in/file; chmod 0 {hidden}/in {hidden}; "
            "cat begun"
        )
        await shell.run(command, timeout_s=PATIENT_S)
        assert processes_with(word)
        assert is_there(hidden)
    assert processes_with(word) == []
    assert not is_there(hidden)


async def test_a_client_that_is_gone_takes_its_shell_along(served: Served) -> None:
    word = f"9{secrets.randbelow(10**8)}"
    begun = asyncio.Event()

    async def session() -> None:
        async with served.shells.open() as shell:
            # Until then it is a copy of the shell, by another name.
            named = "until [ $(cat /proc/$!/comm) = sleep ]; do :; done"
            await shell.run(f"sleep {word} & {named}", timeout_s=PATIENT_S)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(session())
    await begun.wait()
    assert processes_with(word)
    task.cancel()
    await asyncio.wait({task})
    assert processes_with(word) == []


async def test_one_that_takes_too_long_is_ended_and_its_words_are_told(served: Served) -> None:
    word = f"9{secrets.randbelow(10**8)}"
    async with served.shells.open() as shell:
        # Time enough for the words, which are to be told.
        with pytest.raises(ToolError, match=r"begun\n(.|\n)*took longer than 3 s"):
            await shell.run(f"echo begun; setsid sleep {word}", timeout_s=3.0)
        assert processes_with(word) == []
        assert (await shell.run("echo new", timeout_s=PATIENT_S)).output == "new\n"


async def test_a_cancelled_command_ends_the_shell(served: Served) -> None:
    word = f"9{secrets.randbelow(10**8)}"
    async with served.shells.open() as shell:
        pipe = served.workspace / "begun"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        running = asyncio.create_task(shell.run(f"echo > begun; sleep {word}", timeout_s=PATIENT_S))
        await asyncio.to_thread(pipe.read_text)
        running.cancel()
        await asyncio.wait({running})
        # The next one waits for the end of the one before.
        assert (await shell.run("echo next", timeout_s=PATIENT_S)).output == "next\n"
        assert processes_with(word) == []


async def test_restart_ends_a_command_that_is_under_way(served: Served) -> None:
    async with served.shells.open() as shell:
        pipe = served.workspace / "begun"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        running = asyncio.create_task(shell.run("echo > begun; sleep 600", timeout_s=900.0))
        await asyncio.to_thread(pipe.read_text)
        await shell.restart()
        assert "the shell has ended" in (await running).output


async def test_memory_of_a_process_that_left_its_shell_is_counted(served: Served) -> None:
    hog = "import time; x = bytearray(b'x') * (400 << 20); time.sleep(600)"
    async with served.shells.open() as shell:
        with pytest.raises(ToolError, match="of memory, and 192 MiB are allowed"):
            await shell.run(
                f'(setsid python3 -c "{hog}" &); while :; do sleep 0.1; done', timeout_s=PATIENT_S
            )


async def test_deleted_files_that_are_open_count_although_they_are_not_ours(
    served: Served,
) -> None:
    hog = (
        "import os, time; f = open('f', 'wb'); os.unlink('f'); f.write(bytes(48 << 20)); "
        "f.flush(); time.sleep(600)"
    )
    async with served.shells.open() as shell:
        with pytest.raises(ToolError, match="of disk, and 32 MiB are allowed"):
            await shell.run(f'python3 -c "{hog}"', timeout_s=PATIENT_S)


async def test_who_looks_can_change_nothing(served: Served) -> None:
    async with served.shells.open() as working, served.shells.open_to_look() as looking:
        await working.run("echo mine > file", timeout_s=PATIENT_S)
        seen = await looking.run("cat file; echo > file; touch other", timeout_s=PATIENT_S)
        assert seen.output.startswith("mine\n")
        assert seen.output.count("Permission denied") == 2


async def test_an_errand_goes_on_while_a_shell_is_ended(served: Served) -> None:
    sandbox = RemoteSandbox(socket=served.socket)
    async with served.shells.open() as shell:
        pipe = served.workspace / "begun"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        errand = asyncio.create_task(
            sandbox.run(("/bin/sh", "-c", "echo > begun; sleep 1; cat"), stdin=b"told")
        )
        await asyncio.to_thread(pipe.read_text)
        await shell.restart()
    done = await errand
    assert (done.exit_code, done.output) == (0, "told")


async def test_an_environment_from_elsewhere_is_refused(served: Served) -> None:
    shells = RemoteShells(socket=served.socket, python_environment=Path("/usr"))
    with pytest.raises(PortError, match="/usr is not in"):
        async with shells.open():
            pass


async def test_a_service_that_is_not_there_is_the_harnesss_fault(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="shell: its container does not answer"):
        async with RemoteShells(socket=tmp_path / "none").open():
            pass
    with pytest.raises(PortError, match="shell: its container does not answer"):
        await RemoteSandbox(socket=tmp_path / "none").run(("true",))


async def test_a_service_that_was_started_again_is_the_harnesss_fault(served: Served) -> None:
    """It has no shell of its former life, and that is not what the operator did."""
    async with served.shells.open() as shell:
        former = replace(shell, id=f"{secrets.token_hex(8)}-{secrets.token_hex(8)}")
        with pytest.raises(PortError, match="shell: its container was started again"):
            await former.run("true", timeout_s=PATIENT_S)


async def test_the_work_tree_is_filled_and_emptied_whatever_its_owner_did_to_it(
    served: Served, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    (new / "sub").mkdir(parents=True)
    (new / "sub/run").write_text("#!/bin/sh\n")
    (new / "sub/run").chmod(0o755)
    (new / "link").symlink_to("sub/run")
    # Its watch may end a shell for a folder that cannot be listed.
    with suppress(ToolError):
        async with served.shells.open() as shell:
            await shell.run(
                "mkdir -p a/b; touch a/b/c .hidden; chmod 0 a/b a; ln -s /etc etc",
                timeout_s=PATIENT_S,
            )
    await served.tree.fill(new, trash=tmp_path / "old")
    assert sorted(path.name for path in served.workspace.iterdir()) == ["link", "sub"]
    assert os.access(served.workspace / "sub/run", os.X_OK)
    assert (served.workspace / "sub/run").stat().st_uid == served.worker.uid
    assert (served.workspace / "link").readlink() == Path("sub/run")
    assert is_there("/etc/passwd")


async def test_a_workspace_is_made_committed_and_reset_over_there(
    served: Served, tmp_path: Path
) -> None:
    source = tmp_path / "app"
    source.mkdir()
    (source / "main.py").write_text("one\n")
    made = Workspace(tmp_path / "run", tree=served.tree)
    first = await made.create(source)
    async with served.shells.open() as shell:
        await shell.run("echo two > main.py", timeout_s=PATIENT_S)
    second = await made.commit_object("two", at=1.0)
    assert "+two" in await made.diff(first, second.sha)
    await made.reset_to(first)
    assert (served.workspace / "main.py").read_text() == "one\n"


async def test_each_campaign_finds_the_files_that_it_left(served: Served, tmp_path: Path) -> None:
    one, other, place = tmp_path / "one", tmp_path / "other", tmp_path / "place"
    for folder in (one, other, place):
        folder.mkdir()
    trees = TreeOfOne(tree=served.tree, place=place)

    async def leave(text: str) -> None:
        async with served.shells.open() as shell:
            await shell.run(f"echo {text} > file", timeout_s=PATIENT_S)

    file = served.workspace / "file"
    async with trees.held(one) as has_its_files:
        assert not has_its_files
        await leave("one")
    async with trees.held(other) as has_its_files:
        assert not has_its_files
        assert not file.exists()
        await leave("other")
        with pytest.raises(PortError, match="another campaign is being played"):
            async with trees.held(one):
                pass
    for folder in (one, other, other):
        async with trees.held(folder) as has_its_files:
            assert has_its_files
            assert file.read_text() == f"{folder.name}\n"


def test_a_process_that_filters_itself_makes_no_session_and_writes_no_disk_out() -> None:
    program = """
import ctypes, os, subprocess, sys
from campaign.seccomp import filter_ourselves
assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0  # no new privileges
assert filter_ourselves()
tried = "import os; before = os.getsid(0); os.setsid(); os.sync(); print(os.getsid(0) == before)"
words = [sys.executable, "-c", tried]
print(subprocess.run(words, capture_output=True, text=True, check=True, process_group=0).stdout)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    # A leader of a group could not make a session: EPERM, were it not filtered.
    assert done.stdout.split() == ["True"]


async def test_a_new_shell_takes_the_place_of_one_that_was_forgotten(served: Served) -> None:
    async with served.shells.open() as forgotten:
        await forgotten.run("A=1", timeout_s=PATIENT_S)
        async with served.shells.open() as shell:
            assert (await shell.run("echo new $A", timeout_s=PATIENT_S)).output == "new\n"
            with pytest.raises(ToolError, match="the session is over"):
                await forgotten.run("true", timeout_s=PATIENT_S)
