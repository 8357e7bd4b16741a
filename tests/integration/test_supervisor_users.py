"""Where the container is the sandbox: each process of the app has a user, and leaves nothing."""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import stat
import subprocess
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest

from campaign.identity import Identity, launcher, own_identity
from campaign.supervisor.users import NoUserLeftError, Users, end_all
from tests.integration.supervisor_kit import Stage, alive, healthy, supervised, until

#: of Debian's own, for programs that nobody runs here
SPARE = ("games", "news", "uucp")
#: outlives whoever started it, in a session of its own
LEAVES_ONE_BEHIND = """
left = os.fork()
if left == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(1); os.close(2)
    time.sleep(600)
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")


@pytest.fixture
def spare() -> tuple[Identity, ...]:
    """Users whose processes may be ended: they have none."""
    entries = [pwd.getpwnam(name) for name in SPARE]
    made = tuple(Identity(user=e.pw_name, uid=e.pw_uid, gid=e.pw_gid) for e in entries)
    if processes_of(made):
        pytest.skip(f"{', '.join(SPARE)}: one of them runs something here")
    return made


def contained(**overrides: Any) -> AbstractAsyncContextManager[Stage]:
    return supervised(sandbox="container", users=SPARE, **overrides)


def processes_of(identities: tuple[Identity, ...]) -> list[int]:
    uids = {identity.uid for identity in identities}
    found = psutil.process_iter(["uids", "pid"])
    return [p.info["pid"] for p in found if p.info["uids"].real in uids and alive(p.info["pid"])]


async def test_each_process_is_another_users_and_the_old_one_leaves_nothing(
    spare: tuple[Identity, ...],
) -> None:
    async with contained() as stage:
        assert (await stage.deploy_app("first", healthy("1", extra=LEAVES_ONE_BEHIND))).ok
        first = await stage.run_inside("result = os.getuid()")
        assert first in {identity.uid for identity in spare}
        left = processes_of(tuple(each for each in spare if each.uid == first))
        assert len(left) > 1
        assert (await stage.deploy_app("second", healthy("2"))).ok
        assert await stage.run_inside("result = os.getuid()") != first

        async def gone() -> bool:
            return not any(map(alive, left))

        await until(gone, what="all that the first one started is ended")
        assert await stage.version() == "2"
    assert processes_of(spare) == []


async def test_the_old_one_leaves_no_files_where_everybody_may_write(
    spare: tuple[Identity, ...],
) -> None:
    assert spare
    folder = Path("/tmp") / secrets.token_hex(8)  # noqa: S108 - where an app may leave something
    async with contained() as stage:
        assert (await stage.deploy_app("first", healthy("1"))).ok
        await stage.run_inside(f"result = os.makedirs({f'{folder}/in'!r}, 0o700)")
        assert folder.exists()
        assert (await stage.deploy_app("second", healthy("2"))).ok

        async def gone() -> bool:
            return not folder.exists()

        await until(gone, what="what the first one left is removed")


async def test_the_app_has_no_way_up_and_no_way_to_the_supervisor(
    spare: tuple[Identity, ...],
) -> None:
    assert spare
    async with contained(control_socket_mode=0o660) as stage:
        assert (await stage.deploy_app("app", healthy("1"))).ok
        status = await stage.run_inside("result = open('/proc/self/status').read()")
        held = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(held["CapEff"], 16) == 0
        assert int(held["CapPrm"], 16) == 0
        assert held["NoNewPrivs"] == "1"
        assert held["Groups"].strip() == ""
        path = str(stage.folder / "supervisor.sock")
        tried = (
            "try:\n"
            "    s = socket.socket(socket.AF_UNIX)\n"
            f"    s.connect({path!r})\n"
            "    result = 'connected'\n"
            "except OSError as error:\n"
            "    result = type(error).__name__\n"
        )
        assert await stage.run_inside(tried) == "PermissionError"
        mode = (stage.folder / "supervisor.sock").stat().st_mode
        assert stat.S_IMODE(mode) == 0o660


async def test_the_limits_hold_without_bubblewrap_too(spare: tuple[Identity, ...]) -> None:
    assert spare
    async with contained(limits={"open_files": 123}) as stage:
        assert (await stage.deploy_app("app", healthy("1"))).ok
        asked = "import resource; result = resource.getrlimit(resource.RLIMIT_NOFILE)"
        assert await stage.run_inside(asked) == [123, 123]


def test_a_user_that_forks_faster_than_it_is_counted_is_ended(spare: tuple[Identity, ...]) -> None:
    script = "while :; do (sleep 60 & sleep 60 &) ; sleep 0.01; done"
    bounded = ["prlimit", "--nproc=64", "--", "/bin/sh", "-c", script]
    child = subprocess.Popen(
        [*launcher(spare[0]), *bounded], stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while len(processes_of(spare[:1])) < 10:
            assert child.poll() is None
        end_all(spare[0])
        assert processes_of(spare) == []
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_user_that_signals_whoever_comes_to_end_it_is_ended(
    spare: tuple[Identity, ...], sent: signal.Signals
) -> None:
    script = f"""
import os
print("begun", flush=True)
while True:
    try:
        os.kill(-1, {sent})
    except OSError:
        pass
"""
    child = subprocess.Popen(
        [*launcher(spare[0]), "/usr/bin/env", "python3", "-IS", "-c", script],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        end_all(spare[0])
        assert processes_of(spare) == []
    finally:
        child.kill()
        child.communicate()


def test_our_own_processes_are_never_ended() -> None:
    with pytest.raises(PermissionError, match="our own user"):
        end_all(own_identity())


def test_each_user_has_one_process_at_a_time(spare: tuple[Identity, ...]) -> None:
    users = Users(spare)
    taken = {users.take() for _ in spare}
    assert taken == set(spare)
    with pytest.raises(NoUserLeftError):
        users.take()
    users.give_back(spare[1])
    assert users.take() == spare[1]


def test_a_single_user_is_everybodys() -> None:
    users = Users((own_identity(),))
    assert users.take() == users.take() == own_identity()
    users.give_back(own_identity())
