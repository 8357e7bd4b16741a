"""What an operator might try in its shell, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from operators import ToolError

from campaign.adapters.instruments.shell import WorkspaceShell
from campaign.adapters.instruments.usage import descendants, stored
from tests.integration.instrument_kit import NO_SANDBOX, processes_with, shells, workspace

pytestmark = pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")

PATIENT_S = 60.0


@pytest.fixture
def place() -> Iterator[Path]:
    with workspace() as place:
        yield place


@pytest.fixture
async def shell(place: Path) -> AsyncIterator[WorkspaceShell]:
    async with shells(place).open() as shell:
        yield shell


async def said(shell: WorkspaceShell, command: str) -> str:
    return (await shell.run(command, timeout_s=PATIENT_S)).output


def group_of_the_harness() -> str | None:
    """None: this system has none; empty: the system's own, where nobody opened a session."""
    file = Path("/proc/self/autogroup")
    return file.read_text().partition(" ")[0].strip() if file.exists() else None


async def is_well(shell: WorkspaceShell) -> bool:
    """A shell that was ended, perhaps only just now, is followed by one that works."""
    for _ in range(2):
        try:
            return await said(shell, "echo well") == "well\n"
        except ToolError:
            continue
    return False


async def test_nothing_of_the_harness_is_to_be_seen(
    shell: WorkspaceShell, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    everything = await said(
        shell,
        "env; cat /proc/*/environ | tr '\\0' '\\n'; cat /proc/*/cmdline | tr '\\0' ' '; "
        "ls -la / /srv /tmp /run /home /root /work /etc /var 2>&1",
    )
    for word in ("canary", "chaos_profiles", str(place.parent), "pytest", str(Path.cwd())):
        assert word not in everything
    seen = (await said(shell, "ls -d /proc/[0-9]* | wc -l")).strip()
    assert int(seen) <= 6
    assert await said(shell, "cat /etc/passwd /etc/shadow 2>/dev/null") == ""


async def test_no_descriptor_is_inherited(shell: WorkspaceShell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)  # noqa: FBT003 - the standard library's
        fresh = shell
        await fresh.restart()
        inside = await said(fresh, "ls -l /proc/self/fd /proc/$$/fd /proc/1/fd 2>&1")
    assert "socket:" not in inside
    assert await said(fresh, "cd /proc/self/fd; for n in *; do readlink $n; done") != ""
    own = await said(fresh, "ls /proc/self/fd")
    assert own.split() == ["0", "1", "2", "3"]


async def test_no_network_is_to_be_reached(shell: WorkspaceShell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        probe = f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>&1 && echo reached"
        assert "reached" not in await said(shell, probe)
    assert (await said(shell, "ls /sys/class/net 2>/dev/null; cat /proc/net/route")).count(
        "\n"
    ) <= 1
    assert "reached" not in await said(
        shell, "(exec 3<>/dev/tcp/192.0.2.1/80) 2>&1 && echo reached"
    )


async def test_only_the_workspace_and_a_private_tmp_can_be_written_to(
    shell: WorkspaceShell, place: Path
) -> None:
    for path in ("/x", "/usr/x", "/srv/x", "/etc/x", "/proc/self/oom_score_adj", "/dev/x"):
        assert (await shell.run(f"echo 1 > {path}", timeout_s=PATIENT_S)).exit_code != 0 or (
            path == "/dev/x"
        )
    assert (
        await said(shell, "echo in > /srv/app/file; echo in > /tmp/file; cat /tmp/file") == "in\n"
    )
    assert (place / "file").read_text() == "in\n"


async def test_links_and_dots_lead_nowhere(shell: WorkspaceShell, place: Path) -> None:
    secret = place.parent / "secret"
    secret.write_text("canary")
    assert "canary" not in await said(
        shell,
        f"ln -s {secret} link; cat link ../secret {secret} /proc/1/root{secret} "
        f"/proc/1/cwd/../secret 2>&1; ln -s /etc/shadow shadow; cat shadow 2>&1",
    )


async def test_daemons_are_gone_with_the_session(place: Path) -> None:
    word = f"9{secrets.randbelow(10**8)}"
    daemon = (
        "import os,sys\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
        f"os.execlp('sleep', 'sleep', '{word}')\n"
    )
    async with shells(place).open() as shell:
        await said(shell, f"nohup sleep {word} >/dev/null 2>&1 & disown; echo")
        await said(shell, f"setsid sh -c 'trap \"\" TERM HUP; sleep {word}' >/dev/null 2>&1 & echo")
        await said(shell, f'/usr/bin/python3 -c "{daemon}" >/dev/null 2>&1; echo')
        while len(processes_with(word)) < 4:  # noqa: ASYNC110 - other processes tell
            await asyncio.sleep(0.02)
    assert processes_with(word) == []


_HARNESS = """
import asyncio, pathlib, sys
from tests.integration.instrument_kit import shells

async def main():
    async with shells(pathlib.Path(sys.argv[1])).open() as shell:
        await shell.run(f"setsid sleep {sys.argv[2]} >/dev/null 2>&1 & echo", timeout_s=60)
        print("ready", flush=True)
        await shell.run("sleep 1000", timeout_s=1000)

asyncio.run(main())
"""


async def test_a_harness_that_is_killed_takes_its_shells_along(place: Path) -> None:
    word = f"9{secrets.randbelow(10**8)}"
    harness = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HARNESS, str(place), word),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert harness.stdout is not None
    assert await harness.stdout.readline() == b"ready\n"
    async with asyncio.timeout(PATIENT_S):
        # The harness itself is one of them.
        while len(processes_with(word)) < 2:  # noqa: ASYNC110 - other processes tell
            await asyncio.sleep(0.05)
    harness.kill()
    await harness.wait()
    async with asyncio.timeout(PATIENT_S):
        while processes_with(word):  # noqa: ASYNC110 - other processes tell
            await asyncio.sleep(0.05)


async def test_a_fork_bomb_stays_within_its_bound(shell: WorkspaceShell) -> None:
    with pytest.raises(ToolError, match="took longer"):
        await shell.run("b() { b | b & }; b; while true; do :; done", timeout_s=3)
    own = psutil.Process().children(recursive=True)
    assert len(own) < 10
    assert await is_well(shell)


async def test_a_fork_bomb_has_no_more_processes_than_allowed(shell: WorkspaceShell) -> None:
    await said(shell, "(for i in $(seq 1 300); do sleep 1000 & done) >/dev/null 2>&1; echo")
    bash = shell._bash
    assert bash is not None
    assert 50 < len(list(descendants(bash.top))) <= 66


async def test_one_large_file_is_cut_at_its_bound(shell: WorkspaceShell, place: Path) -> None:
    done = await shell.run("head -c 32M /dev/zero > large", timeout_s=PATIENT_S)
    assert done.exit_code != 0
    assert (place / "large").stat().st_size == 16 << 20


async def test_many_files_end_the_shell_before_the_disk_is_full(
    shell: WorkspaceShell, place: Path
) -> None:
    fill = "for i in $(seq 1 400); do head -c 8M /dev/zero > f$i; sleep 0.2; done"
    with pytest.raises(ToolError, match="of disk, and 64 MiB are allowed: remove what"):
        await shell.run(fill, timeout_s=PATIENT_S)
    assert stored(place, max_files=1000).size_bytes < 512 << 20
    assert await said(shell, "rm f*; echo removed") == "removed\n"


async def test_files_that_were_deleted_but_are_open_count(shell: WorkspaceShell) -> None:
    hidden = (
        "import os,time\nheld = []\nwhile True:\n"
        " f = open('x', 'wb'); os.unlink('x'); f.write(bytes(8 << 20)); f.flush(); held.append(f)\n"
        " time.sleep(0.1)\n"
    )
    with pytest.raises(ToolError, match="of disk, and 64 MiB are allowed"):
        await shell.run(f'/usr/bin/python3 -c "{hidden}"', timeout_s=PATIENT_S)
    assert await is_well(shell)


async def test_very_many_files_end_the_shell(shell: WorkspaceShell) -> None:
    with pytest.raises(ToolError, match="more than 2000 files"):
        await shell.run("for i in $(seq 1 100000); do : > f$i; done; sleep 60", timeout_s=PATIENT_S)


async def test_a_folder_too_deep_to_look_into_ends_the_shell(shell: WorkspaceShell) -> None:
    deep = "d=$(printf 'd%.0s' $(seq 1 200)); for i in $(seq 1 30); do mkdir $d; cd $d; done; "
    with pytest.raises(ToolError, match="could not be listed"):
        await shell.run(f"{deep} sleep 60", timeout_s=PATIENT_S)


async def test_its_tmp_is_bounded(shell: WorkspaceShell) -> None:
    done = await shell.run(
        "for i in 1 2 3; do head -c 8M /dev/zero > /tmp/f$i || exit 3; done", timeout_s=PATIENT_S
    )
    assert done.exit_code == 3
    assert "No space left" in done.output


#: each stops at 512 MiB, which is no more than is allowed to one process, and holds it
EATERS = {
    "one process": (
        "x = []\nfor i in range(64): x.append(bytearray(8 << 20)); time.sleep(0.02)\n"
        "time.sleep(1000)"
    ),
    "its children": (
        "for i in range(8):\n if not os.fork():\n"
        "  x = bytearray(os.urandom(1) * (64 << 20)); time.sleep(1000)\ntime.sleep(1000)"
    ),
    "files in memory": (
        "x = []\nfor i in range(64):\n f = os.memfd_create('x'); os.write(f, bytes(8 << 20)); "
        "x.append(f); time.sleep(0.02)\ntime.sleep(1000)"
    ),
    "memory that is shared": (
        "m = mmap.mmap(-1, 512 << 20)\n"
        "for i in range(0, 512 << 20, 1 << 20): m[i:i + (1 << 20)] = bytes(1 << 20); "
        "time.sleep(0.005)\ntime.sleep(1000)"
    ),
}


@pytest.mark.parametrize("how", EATERS)
async def test_who_eats_memory_is_ended(shell: WorkspaceShell, how: str, place: Path) -> None:
    (place / "eat.py").write_text(f"import mmap, os, time\n{EATERS[how]}\n")
    with pytest.raises(ToolError, match="of memory, and 256 MiB are allowed"):
        await shell.run("/usr/bin/python3 eat.py", timeout_s=PATIENT_S)
    assert await is_well(shell)


async def test_one_process_cannot_have_more_address_space_than_allowed(
    shell: WorkspaceShell,
) -> None:
    output = await said(shell, "/usr/bin/python3 -c 'bytearray(2 << 30)' 2>&1")
    assert "MemoryError" in output


async def test_what_runs_in_the_background_is_watched_too(shell: WorkspaceShell) -> None:
    await said(shell, "(for i in $(seq 1 400); do head -c 8M /dev/zero > f$i; done) & echo")
    bash = shell._bash
    assert bash is not None
    async with asyncio.timeout(PATIENT_S):
        while bash._process.returncode is None:  # noqa: ASYNC110 - another process tells
            await asyncio.sleep(0.05)
    with pytest.raises(ToolError, match="ended between commands: the workspace took"):
        await shell.run("echo", timeout_s=PATIENT_S)


async def test_a_flood_of_output_is_neither_held_nor_read_at_full_speed(
    shell: WorkspaceShell,
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises(ToolError, match="bytes before this are not shown") as told:
        await shell.run("yes", timeout_s=3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert len(str(told.value)) < 100_000
    assert after.ru_maxrss - before.ru_maxrss < 64 << 10  # KiB
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


async def test_a_flood_between_commands_waits_and_goes_with_the_shell(
    shell: WorkspaceShell,
) -> None:
    await said(shell, "yes & echo")
    done = await shell.run("echo here", timeout_s=PATIENT_S)
    assert done.exit_code == 0
    await shell.restart()
    assert await said(shell, "echo well") == "well\n"


async def test_all_of_it_shares_one_small_scheduling_group(shell: WorkspaceShell) -> None:
    ours = group_of_the_harness()
    if ours is None:
        pytest.skip("this system has no scheduling groups of sessions")
    groups = await said(
        shell,
        "cat /proc/self/autogroup; setsid cat /proc/self/autogroup; "
        "/usr/bin/python3 -c 'import os; os.wait() if os.fork() else os.setsid(); "
        'print(open("/proc/self/autogroup").read().strip())\'; '
        "echo 0 > /proc/self/autogroup; cat /proc/self/autogroup",
    )
    lines = [line for line in groups.splitlines() if line.startswith("/autogroup")]
    assert len(lines) == 5
    assert len(set(lines)) == 1
    assert lines[0].endswith("nice 10")
    assert "Read-only file system" in groups
    assert lines[0].partition(" ")[0] != ours


async def test_it_dies_before_the_harness_when_memory_runs_out(shell: WorkspaceShell) -> None:
    assert await said(shell, "cat /proc/self/oom_score_adj") == "1000\n"
    done = await shell.run("echo 0 > /proc/self/oom_score_adj", timeout_s=PATIENT_S)
    assert done.exit_code == 1


async def test_writing_out_the_whole_disk_does_nothing(shell: WorkspaceShell) -> None:
    """A sync that is done takes as long as the disk does; `sync -f` would sync the file system."""
    assert await said(shell, "sync && sync -f /srv/app && echo pretended") == "pretended\n"


async def test_nothing_can_be_gained(shell: WorkspaceShell) -> None:
    tries = "unshare -U true; unshare -m true; mount -t proc p /tmp; chroot / true; su -c id; id -u"
    output = await said(shell, f"({tries}) 2>&1; grep CapEff /proc/self/status")
    assert "CapEff:\t0000000000000000" in output
    assert "\n0\n" not in output


async def test_no_thread_of_ours_keeps_a_sandbox_alive(place: Path) -> None:
    """It ends with the session, not with the thread or the test that opened it."""
    before = threading.active_count()
    async with shells(place).open() as shell:
        await said(shell, "true")
        assert shell._bash is not None
        top = shell._bash.top
    assert not psutil.pid_exists(top)
    assert threading.active_count() <= before + 8
