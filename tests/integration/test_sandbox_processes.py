import os
import pwd
import shutil
import subprocess

import pytest

from campaign.identity import app_identity, own_identity
from campaign.sandbox import (
    Limits,
    Mount,
    Sandbox,
    argv,
    host_system,
    unavailable,
)
from tests.integration.supervisor_kit import NO_SANDBOX, private_folder

pytestmark = pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")


def _run(sandbox: Sandbox, script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        argv(sandbox, ["sh", "-c", script]), capture_output=True, text=True, check=False, timeout=20
    )


def _sandbox(*mounts: Mount, limits: Limits | None = None) -> Sandbox:
    return Sandbox(
        workdir="/",
        mounts=mounts,
        identity=app_identity(),
        system=host_system(),
        limits=limits or Limits(),
    )


def test_a_writable_folder_can_be_written_and_others_cannot() -> None:
    folder = private_folder()
    folder.chmod(0o777)
    done = _run(
        _sandbox(Mount(source=str(folder), target="/srv/work", writable=True)),
        "echo kept > /srv/work/file; echo lost > /srv/file",
    )
    kept = (folder / "file").read_text()
    shutil.rmtree(folder)
    assert kept == "kept\n"
    assert "Read-only file system" in done.stderr


def test_there_is_no_network() -> None:
    script = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 9), 1)'"
    assert "ConnectionRefusedError" in _run(_sandbox(), script).stderr
    assert _run(_sandbox(), "cat /proc/net/dev | grep -c eth").stdout == "0\n"


def test_only_the_limited_number_of_processes_can_be_started() -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait"
    done = _run(_sandbox(limits=Limits(processes=5)), script)
    assert "Cannot fork" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_gets_the_same_sandbox() -> None:
    nobody = pwd.getpwnam("nobody")
    script = (
        "from campaign import identity, sandbox;print(sandbox.unavailable(identity.own_identity()))"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("nobody cannot read this checkout")
    assert done.stdout == "None\n", done.stderr


def test_a_sandbox_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert (unavailable(own_identity()) or "").startswith("not installed: bwrap, setpriv, prlimit")
