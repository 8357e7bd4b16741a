"""Commands in the workspace, in the sandbox and without one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaign.adapters import workspace_shell
from campaign.adapters.workspace_shell import WorkspaceShell
from campaign.identity import app_identity
from campaign.ports import PortError
from campaign.sandbox import unavailable

#: with git's own header, whose paths git takes from the root of the repository that it is in
PATCH = b"""\
diff --git a/notes.txt b/notes.txt
--- a/notes.txt
+++ b/notes.txt
@@ -1 +1 @@
-one
+two
"""


@pytest.fixture
def workspace() -> Iterator[Path]:
    """Below a folder that is a repository itself, as `runs/` in a clone of ours is."""
    with tempfile.TemporaryDirectory(prefix="ratchet-shell-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        place = root / "runs" / "workspace"
        place.mkdir(parents=True)
        (place / "notes.txt").write_text("one\n")
        user = app_identity()
        for path in (place, place / "notes.txt"):
            os.chown(path, user.uid, user.gid)
        yield place


@pytest.fixture(params=["confined", "plain"])
def shell(request: pytest.FixtureRequest, workspace: Path) -> WorkspaceShell:
    confined = request.param == "confined"
    if confined and (reason := unavailable(app_identity())):
        pytest.skip(reason)
    return WorkspaceShell(workspace, confined=confined)


async def test_a_patch_changes_the_workspace(shell: WorkspaceShell, workspace: Path) -> None:
    done = await shell.run(("git", "apply", "-"), stdin=PATCH)
    assert (done.exit_code, done.output) == (0, "")
    assert (workspace / "notes.txt").read_text() == "two\n"
    again = await shell.run(("git", "apply", "-"), stdin=PATCH)
    assert again.exit_code == 1
    assert "patch does not apply" in again.output


async def test_an_exit_code_and_both_streams_come_back(shell: WorkspaceShell) -> None:
    done = await shell.run(("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert (done.exit_code, done.output) == (7, "out\nerr\n")


async def test_of_an_endless_output_only_the_end_is_kept(shell: WorkspaceShell) -> None:
    done = await shell.run(("sh", "-c", "seq 1 200000; echo end"))
    assert len(done.output) == 64 * 1024
    assert done.output.endswith("200000\nend\n")


async def test_a_command_need_not_read_what_it_is_given(shell: WorkspaceShell) -> None:
    done = await shell.run(("true",), stdin=b"x" * 1_000_000)
    assert done.exit_code == 0


async def test_a_command_that_takes_too_long_is_ended_and_its_words_are_kept(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over as soon as it was heard: nobody knows how long a command takes to begin."""
    read = workspace_shell._read

    async def heard(process: asyncio.subprocess.Process, output: bytearray) -> None:
        reading = asyncio.create_task(read(process, output))
        while not (output or reading.done()):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        limit.reschedule(asyncio.get_running_loop().time())
        await reading

    limit = asyncio.timeout(None)
    monkeypatch.setattr(asyncio, "timeout", lambda _: limit)
    monkeypatch.setattr(workspace_shell, "_read", heard)
    shell = WorkspaceShell(workspace, confined=False, timeout_s=120.0)
    done = await shell.run(("sh", "-c", "echo begun; exec sleep 600"))
    assert (done.exit_code, done.output) == (124, "begun\n\nended after 120 s")


async def test_a_command_that_does_not_exist_is_a_fault_only_without_a_sandbox(
    workspace: Path,
) -> None:
    with pytest.raises(PortError, match="no-such-program cannot be started"):
        await WorkspaceShell(workspace, confined=False).run(("no-such-program",))


async def test_the_sandbox_shows_the_workspace_and_nothing_of_the_harness(workspace: Path) -> None:
    if reason := unavailable(app_identity()):
        pytest.skip(reason)
    shell = WorkspaceShell(workspace, confined=True)
    assert (await shell.run(("pwd",))).output == "/srv/app\n"
    seen = await shell.run(("ls", "/", "/srv"))
    assert "chaos_profiles" not in seen.output
    for secret in (Path(__file__), workspace.parent):
        assert (await shell.run(("ls", str(secret)))).exit_code != 0
