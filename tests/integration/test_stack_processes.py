from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from campaign.identity import LOADGEN_USER, identity_for, own_identity
from campaign.stack.errors import ComponentFailedError, StackInUseError
from campaign.stack.places import make_socket_folder
from campaign.stack.processes import Child, ProcessSpec, is_alive
from campaign.stack.record import RECORD_NAME, StackRecordFile, cleanup_leftovers, read_record
from campaign.stack.service import Service, ServiceSpec

if TYPE_CHECKING:
    from pathlib import Path

_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
_STUBBORN = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\n"
#: starts a sleep, as a stack would, says so as soon as that would end with it, then waits
_PARENT = """
import asyncio, sys
from pathlib import Path
from campaign.identity import own_identity
from campaign.stack.places import make_socket_folder
from campaign.stack.processes import Child, ProcessSpec, is_alive
from campaign.stack.record import StackRecordFile

async def main(run_dir):
    record = StackRecordFile(run_dir)
    record.open(socket_dir=make_socket_folder(), data_dir=run_dir / "stack")
    child = await Child.start(ProcessSpec(
        name="sleeper", argv=("sh", "-c", "echo up; exec sleep 1000"),
        log_file=run_dir / "sleeper.log", cwd=run_dir, identity=own_identity()))
    record.add(child)
    while not child.log_tail():
        await asyncio.sleep(0.02)
    print(child.pid, record.record.socket_dir, flush=True)
    await child.ended()

asyncio.run(main(Path(sys.argv[1])))
"""


def _spec(tmp_path: Path, *argv: str, **changes: object) -> ProcessSpec:
    fields: dict[str, object] = {
        "name": "part",
        "argv": argv,
        "log_file": tmp_path / "logs" / "part.log",
        "cwd": tmp_path,
        "identity": own_identity(),
    }
    return ProcessSpec(**(fields | changes))  # type: ignore[arg-type]


async def _silent() -> bool:
    return False


async def _first_log_line(child: Child) -> str:
    async with asyncio.timeout(30):
        while not (lines := child.log_tail()):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.02)
    return lines[0]


def _ends(process: psutil.Process, *, within_s: float) -> bool:
    """Whoever inherits it may take a while to collect it."""
    deadline = time.monotonic() + within_s
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


async def test_a_child_that_ends_tells_its_exit_code_and_last_lines(tmp_path: Path) -> None:
    child = await Child.start(_spec(tmp_path, "sh", "-c", "echo one; echo two >&2; exit 3"))
    exit_ = await child.ended()
    assert exit_.returncode == 3
    assert exit_.reason == "ended with exit code 3"
    assert exit_.log_tail == ("one", "two")


async def test_a_child_killed_from_outside_names_the_signal(tmp_path: Path) -> None:
    child = await Child.start(_spec(tmp_path, "sleep", "1000"))
    os.kill(child.pid, signal.SIGKILL)
    assert (await child.ended()).reason == "was killed by SIGKILL"


async def test_the_log_tail_is_of_this_start_only(tmp_path: Path) -> None:
    spec = _spec(tmp_path, "sh", "-c", "echo $$")
    first = await (await Child.start(spec)).ended()
    second = await (await Child.start(spec)).ended()
    assert len(second.log_tail) == 1
    assert first.log_tail != second.log_tail


async def test_a_child_gets_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    child = await Child.start(_spec(tmp_path, "env"))
    assert not any("secret" in line for line in (await child.ended()).log_tail)


async def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    code = _STUBBORN + "time.sleep(1000)"
    child = await Child.start(_spec(tmp_path, sys.executable, "-c", code, stop_timeout_s=0.2))
    assert await _first_log_line(child) == "up"
    assert (await child.stop()).returncode == -signal.SIGKILL


async def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    child = await Child.start(_spec(tmp_path, "sh", "-c", "setsid sleep 1000 & echo $!; wait"))
    grandchild = psutil.Process(int(await _first_log_line(child)))
    await child.stop()
    # Whoever inherits it may take a while to collect it.
    assert not is_alive(grandchild)


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    child_or_error = _spec(tmp_path, "/no/such/program")
    with pytest.raises(ComponentFailedError, match=r"part .*"):
        await Service(
            ServiceSpec(process=child_or_error, is_ready=_silent, ready_timeout_s=5)
        ).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
async def test_as_root_a_child_runs_as_the_user_it_is_given(tmp_path: Path) -> None:
    nobody = identity_for(LOADGEN_USER)
    child = await Child.start(_spec(tmp_path, "id", "-u", identity=nobody, cwd=tmp_path.root))
    assert (await child.ended()).log_tail == (str(nobody.uid),)


async def test_a_service_that_never_gets_ready_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Child.start

    async def begin(spec: ProcessSpec) -> Child:
        """It has said something before the time that it has begins."""
        child = await start(spec)
        await _first_log_line(child)
        return child

    monkeypatch.setattr(Child, "start", begin)
    process = _spec(tmp_path, "sh", "-c", "echo starting; sleep 1000")
    service = Service(ServiceSpec(process=process, is_ready=_silent, ready_timeout_s=0.3))
    with pytest.raises(ComponentFailedError, match=r"not ready within 0\.3 s(.|\n)*starting"):
        await service.start()
    assert service.pid is None


async def test_a_service_that_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    process = _spec(tmp_path, "sh", "-c", "echo no such table; exit 1")
    service = Service(ServiceSpec(process=process, is_ready=_silent, ready_timeout_s=60))
    with pytest.raises(ComponentFailedError) as caught:
        await service.start()
    assert caught.value.reason == "ended with exit code 1"
    assert caught.value.log_tail == ("no such table",)


@_linux
def test_children_of_a_killed_harness_are_gone_and_cleanup_removes_the_sockets(
    tmp_path: Path,
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, socket_dir = parent.stdout.readline().split()
    sleeper = psutil.Process(int(pid))
    parent.kill()
    parent.communicate()
    assert _ends(sleeper, within_s=30)

    left = cleanup_leftovers(tmp_path)
    assert left.killed == ()
    assert str(left.removed) == socket_dir
    assert left.removed is not None
    assert not left.removed.exists()
    assert read_record(tmp_path).data_dir == tmp_path / "stack"


async def test_cleanup_ends_what_a_record_names_and_nothing_that_only_shares_its_pid(
    tmp_path: Path,
) -> None:
    child = await Child.start(_spec(tmp_path, "sleep", "1000", name="mine"))
    stranger = await Child.start(_spec(tmp_path, "sleep", "1000", name="stranger"))
    record = StackRecordFile(tmp_path)
    record.open(socket_dir=make_socket_folder(), data_dir=tmp_path / "stack")
    record.add(child)
    record.add(stranger)
    stale = json.loads((tmp_path / RECORD_NAME).read_text())
    stale["processes"][1]["create_time"] -= 100
    (tmp_path / RECORD_NAME).write_text(json.dumps(stale))

    left = await asyncio.to_thread(cleanup_leftovers, tmp_path)
    assert left.killed == ("mine",)
    await child.ended()
    assert stranger.is_running
    await stranger.stop()


def test_a_run_folder_that_a_live_process_uses_is_refused(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        parent.stdout.readline()
        with pytest.raises(StackInUseError, match=f"in use by process {parent.pid}"):
            cleanup_leftovers(tmp_path)
    finally:
        parent.kill()
        parent.communicate()
        cleanup_leftovers(tmp_path)
