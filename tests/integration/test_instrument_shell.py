"""The operator's shell as it is meant to be used, with and without a sandbox."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from operators import ToolError

from campaign.adapters.instruments import Allowance, Surroundings, WorkspaceShells, watch
from campaign.adapters.instruments.bash import KEPT_BYTES, Bash
from campaign.adapters.instruments.shell import WorkspaceShell
from campaign.adapters.instruments.usage import Stored, stored
from tests.integration.instrument_kit import NO_SANDBOX, processes_with, shells, workspace

PATIENT_S = 30.0


@pytest.fixture
def place() -> Iterator[Path]:
    with workspace() as place:
        yield place


@pytest.fixture(params=["confined", "plain"])
async def shell(request: pytest.FixtureRequest, place: Path) -> AsyncIterator[WorkspaceShell]:
    confined = request.param == "confined"
    if confined and NO_SANDBOX:
        pytest.skip(NO_SANDBOX)
    async with shells(place, confined=confined).open() as shell:
        yield shell


async def said(shell: WorkspaceShell, command: str) -> str:
    return (await shell.run(command, timeout_s=PATIENT_S)).output


async def test_folder_variables_and_functions_last_from_command_to_command(
    shell: WorkspaceShell,
) -> None:
    await said(shell, "mkdir sub && cd sub; A=3; f() { echo f of $1; }")
    assert (await said(shell, "basename $PWD; echo $A; f x")) == "sub\n3\nf of x\n"


async def test_both_streams_and_the_exit_code_come_back(shell: WorkspaceShell) -> None:
    done = await shell.run("echo out; echo err >&2; (exit 7)", timeout_s=PATIENT_S)
    assert (done.exit_code, done.output) == (7, "out\nerr\n")
    assert (await shell.run("printf 'no end of line'", timeout_s=PATIENT_S)).output == (
        "no end of line"
    )
    assert (await shell.run("true", timeout_s=PATIENT_S)).exit_code == 0


@pytest.mark.parametrize(
    "broken", ["(echo 'unclosed", "if", "echo $(", "}", "case", "cat <<X", 'echo "', ")"]
)
async def test_a_command_that_makes_no_sense_breaks_nothing(
    shell: WorkspaceShell, broken: str
) -> None:
    await shell.run("A=kept", timeout_s=PATIENT_S)
    await shell.run(broken, timeout_s=PATIENT_S)
    assert await said(shell, "echo $A") == "kept\n"


@pytest.mark.parametrize(
    "odd",
    [
        *("exec >/dev/null", "exec 1>&-; exec 2>&-", "exec </dev/zero", "exec 198>&-", "cat"),
        *("set -u", "set -x; echo $((", "trap 'echo caught' DEBUG", "read x; echo got:$x", "wait"),
        *("printf() { builtin printf fake; }", "kill -STOP $BASHPID & sleep 0"),
    ],
)
async def test_what_a_command_does_to_its_own_inputs_and_outputs_ends_with_it(
    shell: WorkspaceShell, odd: str
) -> None:
    await shell.run(odd, timeout_s=PATIENT_S)
    done = await shell.run("echo here", timeout_s=PATIENT_S)
    assert "here" in done.output.splitlines()


async def test_an_end_cannot_be_printed(shell: WorkspaceShell) -> None:
    forged = f"printf '\\n{secrets.token_hex(16)} 0\\n'; echo after; (exit 5)"
    done = await shell.run(forged, timeout_s=PATIENT_S)
    assert (done.exit_code, done.output.endswith("after\n")) == (5, True)


@pytest.mark.parametrize(
    "before", ["", "unset() { echo mine; };", "shopt -s expand_aliases; alias unset='echo mine';"]
)
async def test_a_function_that_is_called_like_the_ends_own_command_does_not_see_the_end(
    shell: WorkspaceShell, before: str
) -> None:
    forged = f'{before} builtin() {{ echo; echo "$3 0"; }}; (exit 5)'
    assert (await shell.run(forged, timeout_s=PATIENT_S)).exit_code == 5
    assert await said(shell, "(exit 6); echo $?") == "6\n"


@pytest.mark.parametrize("words", ["$5 abc", "$5 -1", "$5 ", "$5 1_0", "$5 99999999999"])
async def test_a_false_end_that_makes_no_sense_ends_the_shell_only(
    shell: WorkspaceShell, words: str
) -> None:
    forged = f"""A=1; trap 'case $BASH_COMMAND in *printf*) set -- $BASH_COMMAND
    echo; echo "{words}";; esac' DEBUG; echo begun"""
    done = await shell.run(forged, timeout_s=PATIENT_S)
    assert done.output.startswith("begun\n")
    assert "the shell has ended" in done.output
    assert await said(shell, "echo new $A") == "new\n"


async def test_of_a_long_output_the_end_is_kept_and_the_rest_counted(
    shell: WorkspaceShell,
) -> None:
    output = await said(shell, "seq 1 200000; echo end")
    note, _, rest = output.partition("\n")
    assert note == f"[{1288895 + 4 - KEPT_BYTES} bytes before this are not shown]"
    assert (len(rest), rest.endswith("200000\nend\n")) == (KEPT_BYTES, True)


async def test_a_job_in_the_background_goes_on_while_others_are_run(
    shell: WorkspaceShell,
) -> None:
    await said(shell, "mkfifo pipe; cat pipe > copy & echo started")
    assert await said(shell, "echo through > pipe; wait; cat copy") == "through\n"


async def test_one_that_takes_too_long_is_ended_and_its_words_are_told(
    shell: WorkspaceShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time has passed, for the event loop too, when all that it starts is there."""
    passed_s, real_s = 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real_s() + passed_s)
    word = f"9{secrets.randbelow(10**8)}"
    many = f"for each in $(seq 40); do sleep {word} & done"
    command = f"A=1; echo begun; {many}; sleep {word}"
    running = asyncio.create_task(shell.run(command, timeout_s=2 * PATIENT_S))
    async with asyncio.timeout(PATIENT_S):
        while len(processes_with(word)) < 41:  # noqa: ASYNC110 - other processes tell
            await asyncio.sleep(0.02)
    passed_s = 2 * PATIENT_S
    with pytest.raises(ToolError, match=r"begun\n(.|\n)*took longer than 60 s"):
        await running
    assert processes_with(word) == []
    assert await said(shell, "echo new $A") == "new\n"


async def test_a_shell_that_exits_is_followed_by_a_new_one(shell: WorkspaceShell) -> None:
    done = await shell.run("A=1; echo last; exit 7", timeout_s=PATIENT_S)
    assert done.exit_code == 7
    assert done.output.startswith("last\n\n[the shell has ended. The next command begins in")
    assert await said(shell, "echo new $A") == "new\n"
    killed = await shell.run("kill -KILL $$", timeout_s=PATIENT_S)
    assert killed.exit_code == 137


async def test_others_go_on_while_a_large_workspace_is_looked_through(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_went_on, waited = threading.Event(), list[bool]()

    def slowly(folder: Path, *, max_files: int) -> Stored:
        waited.append(others_went_on.wait(timeout=PATIENT_S))
        return stored(folder, max_files=max_files)

    monkeypatch.setattr(watch, "stored", slowly)
    begun = asyncio.Event()
    start = Bash.start

    async def started(*given: Any, **more: Any) -> Bash:
        bash = await start(*given, **more)
        begun.set()
        return bash

    monkeypatch.setattr(Bash, "start", started)
    async with shells(place, confined=False).open() as shell:
        running = asyncio.create_task(shell.run("echo seen", timeout_s=PATIENT_S))
        await begun.wait()
        await asyncio.sleep(0)
        others_went_on.set()
        assert (await running).output == "seen\n"
    assert waited[0] is True


async def test_a_caller_that_leaves_while_the_watch_begins_leaves_no_shell_unwatched(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    real = watch.Watch.begin

    async def for_ever(_: watch.Watch) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(watch.Watch, "begin", for_ever)
    word = f"9{secrets.randbelow(10**8)}"
    async with shells(place, confined=False).open() as shell:
        running = asyncio.create_task(shell.run(f"sleep {word}", timeout_s=PATIENT_S))
        await begun.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        monkeypatch.setattr(watch.Watch, "begin", real)
        assert await said(shell, "echo new") == "new\n"
    assert processes_with(word) == []


async def test_the_watch_looks_although_all_shared_threads_are_busy(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
    may_go_on = threading.Event()
    busy = asyncio.create_task(asyncio.to_thread(may_go_on.wait, 30))
    watching = watch.Watch(os.getpid(), workspace=tmp_path, allowance=Allowance(files=1))
    async with asyncio.timeout(10):
        await watching.begin()
        for name in "abc":
            (tmp_path / name).touch()
        reason = await watching.until_too_much()
    watching.close()
    may_go_on.set()
    await busy
    assert "more than 1 files" in reason


async def test_a_restart_ends_everything_and_begins_anew(shell: WorkspaceShell) -> None:
    word = f"9{secrets.randbelow(10**8)}"
    await said(shell, f"A=1; sleep {word} & echo")
    under_way = asyncio.create_task(shell.run(f"sleep {word}", timeout_s=PATIENT_S))
    while len(processes_with(word)) < 2:  # noqa: ASYNC110 - other processes tell
        await asyncio.sleep(0.02)
    await shell.restart()
    assert "the shell has ended" in (await under_way).output
    assert processes_with(word) == []
    assert await said(shell, "echo new $A") == "new\n"


async def test_a_caller_that_is_cancelled_ends_the_command(shell: WorkspaceShell) -> None:
    word = f"9{secrets.randbelow(10**8)}"
    running = asyncio.create_task(shell.run(f"sleep {word}", timeout_s=PATIENT_S))
    while not processes_with(word):  # noqa: ASYNC110 - another process tells
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert processes_with(word) == []
    assert await said(shell, "echo new") == "new\n"


async def test_what_cannot_be_a_command_is_refused(shell: WorkspaceShell) -> None:
    with pytest.raises(ToolError, match="NUL"):
        await shell.run("echo \0", timeout_s=PATIENT_S)
    with pytest.raises(ToolError, match="write it into a file"):
        await shell.run("#" * 200_000, timeout_s=PATIENT_S)
    long = "x" * 100_000
    assert await said(shell, f"echo {long} | wc -c") == "100001\n"


async def test_nothing_can_be_run_when_the_session_is_over(place: Path) -> None:
    async with shells(place, confined=False).open() as shell:
        pass
    with pytest.raises(ToolError, match="the session is over"):
        await shell.run("true", timeout_s=PATIENT_S)


@pytest.mark.skipif(NO_SANDBOX is not None, reason=str(NO_SANDBOX))
async def test_a_python_environment_is_first_on_the_path_and_cannot_be_changed(
    place: Path,
) -> None:
    environment = place.parent / "environment"
    (environment / "bin").mkdir(parents=True)
    tool = environment / "bin" / "pytest"
    tool.write_text("#!/bin/sh\necho the tests pass\n")
    for each in (environment, environment / "bin", tool):
        each.chmod(0o755)
    around = Surroundings(
        workspace=place,
        confined=True,
        python_environment=environment,
        database_dir=environment,
        environment={"DATABASE_URL": "postgresql://chat@/chat?host=/run/postgresql"},
    )
    async with WorkspaceShells(around).open() as shell:
        assert await said(shell, "pytest") == "the tests pass\n"
        assert await said(
            shell, f"touch {environment}/x 2>&1; ls /run/postgresql; ls /srv/app"
        ) == (f"touch: cannot touch '{environment}/x': Read-only file system\nbin\n")


# -- a shell that only looks --------------------------------------------------------------------

CHANGES = (
    "echo changed > main.py",
    "echo new > other.py",
    "rm -f main.py",
    "mv main.py other.py",
    "sed -i s/1/2/ main.py",
    "chmod 777 main.py",
    "touch -d yesterday main.py",
    "ln -s /tmp link",
    "mkdir folder",
    "git init -q .",
    "mount -o remount,rw /srv/app",
    "mount -o remount,rw,bind /srv/app",
    "umount /srv/app; echo changed > /srv/app/main.py",
    "unshare -rm sh -c 'mount -o remount,rw /srv/app; echo changed > main.py'",
    "echo changed > /proc/self/root/srv/app/main.py",
    "echo changed > /proc/1/root/srv/app/main.py",
    "echo changed > /proc/self/cwd/main.py",
    "ln main.py /tmp/linked && echo changed > /tmp/linked",
    "exec 9<main.py; echo changed > /proc/self/fd/9",
    "python3 -c \"import os; os.open('main.py', os.O_RDWR)\"",
)


def as_it_is(file: Path) -> tuple[int, ...]:
    """All but when it was read last; whatever else of a file is changed, its ctime tells."""
    found = file.stat()
    return found.st_ino, found.st_mode, found.st_nlink, found.st_size, found.st_ctime_ns


@pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")
async def test_a_shell_that_only_looks_changes_nothing() -> None:
    with workspace() as place:
        file = place / "main.py"
        file.write_text("value = 1\n")
        os.chown(file, place.stat().st_uid, place.stat().st_gid)
        async with shells(place).open_to_look() as shell:
            assert shell is not None
            before = as_it_is(file)
            for command in CHANGES:
                done = await shell.run(f"( {command} )", timeout_s=PATIENT_S)
                assert done.exit_code != 0, command
                assert file.read_text() == "value = 1\n", command
                assert [each.name for each in place.iterdir()] == ["main.py"], command
                assert as_it_is(file) == before, command
            read = await shell.run(
                "grep -n value main.py > /tmp/kept; cat /tmp/kept", timeout_s=PATIENT_S
            )
            assert read.output == "1:value = 1\n"
        # The same can be done in the other one: the commands do change something.
        async with shells(place).open() as shell:
            assert (await shell.run(CHANGES[0], timeout_s=PATIENT_S)).exit_code == 0
        assert file.read_text() == "changed\n"


@pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")
async def test_a_shell_that_only_looks_does_not_reach_the_database() -> None:
    with workspace() as place:
        sockets = place.parent / "pg"
        sockets.mkdir()
        surroundings = Surroundings(
            workspace=place,
            confined=True,
            database_dir=sockets,
            environment={"DATABASE_URL": "postgresql://chat@/chat"},
        )
        told = "echo ${DATABASE_URL-none}; ls -d /run/postgresql 2>/dev/null"
        for opened, expected in (
            (WorkspaceShells(surroundings).open_to_look(), "none\n"),
            (WorkspaceShells(surroundings).open(), "postgresql://chat@/chat\n/run/postgresql\n"),
        ):
            async with opened as shell:
                assert shell is not None
                assert (await shell.run(told, timeout_s=PATIENT_S)).output == expected


async def test_unconfined_there_is_no_shell_that_only_looks() -> None:
    with workspace() as place:
        async with shells(place, confined=False).open_to_look() as shell:
            assert shell is None
