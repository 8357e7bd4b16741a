import os
from pathlib import Path

import pytest

from campaign.identity import Identity
from campaign.sandbox import Limits, Link, Mount, Sandbox, argv, host_system, unseen

SYSTEM = (Mount(source="/usr", target="/usr"), Link(target="usr/bin", path="/bin"))


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


def after(words: list[str], option: str, count: int) -> list[list[str]]:
    return [
        words[index + 1 : index + 1 + count] for index, each in enumerate(words) if each == option
    ]


def test_root_is_dropped_before_the_sandbox_is_made() -> None:
    words = argv(Sandbox(workdir="/", identity=Identity(user="bin", uid=1, gid=2)), ["true"])
    assert words[: words.index("bwrap")] == [
        "/usr/bin/setpriv", "--pdeathsig=KILL", "--no-new-privs",
        "--reuid=1", "--regid=2", "--clear-groups", "--",
    ]  # fmt: skip


def test_only_what_is_bound_is_there_and_read_only_unless_said_otherwise() -> None:
    words = argv(
        Sandbox(
            workdir="/srv/app",
            system=SYSTEM,
            mounts=(
                Mount(source="/x/source", target="/srv/app"),
                Mount(source="/x/notes", target="/srv/notes", writable=True),
            ),
        ),
        ["true"],
    )
    assert after(words, "--ro-bind", 2) == [["/usr", "/usr"], ["/x/source", "/srv/app"]]
    assert after(words, "--bind", 2) == [["/x/notes", "/srv/notes"]]
    assert after(words, "--symlink", 2) == [["usr/bin", "/bin"]]
    assert after(words, "--remount-ro", 1) == [["/proc"], ["/"]]
    assert after(words, "--chdir", 1) == [["/srv/app"]]


def test_mounts_come_after_the_private_tmp_so_that_they_may_lie_in_it() -> None:
    mounts = (Mount(source="/tmp/x", target="/tmp/x"),)  # noqa: S108 - never made
    words = argv(Sandbox(workdir="/", mounts=mounts), ["true"])
    tmpfs = max(index for index, word in enumerate(words) if word == "--tmpfs")
    assert tmpfs < words.index("--ro-bind")


def test_everything_is_unshared_and_no_privilege_is_left() -> None:
    words = argv(Sandbox(workdir="/"), ["true"])
    for option in (
        "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
        "--disable-userns", "--new-session", "--die-with-parent", "--clearenv",
    ):  # fmt: skip
        assert option in words
    assert after(words, "--cap-drop", 1) == [["ALL"]]


def test_the_environment_holds_what_was_given_and_a_path() -> None:
    words = argv(Sandbox(workdir="/", environment={"LISTEN_FD": "3"}), ["true"])
    assert after(words, "--setenv", 2) == [["PATH", "/usr/bin:/bin"], ["LISTEN_FD", "3"]]


def test_limits_are_set_just_before_the_command() -> None:
    limits = Limits(processes=5, address_space_bytes=None, file_size_bytes=7, open_files=9)
    words = argv(Sandbox(workdir="/", limits=limits), ["python", "main.py"])
    assert words[words.index("prlimit") :] == [
        "prlimit", "--nproc=5", "--fsize=7", "--nofile=9", "--core=0", "--nice=0", "--rtprio=0",
        "--", "python", "main.py",
    ]  # fmt: skip


def test_hidden_folders_of_the_system_look_empty() -> None:
    words = argv(Sandbox(workdir="/", system=SYSTEM, hidden=("/usr/local/lib/x",)), ["true"])
    assert ["/usr/local/lib/x"] in after(words, "--tmpfs", 1)
    assert words.index("/usr/local/lib/x") > words.index("/usr")


def test_folders_and_links_of_the_system_are_kept_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "lib64").mkdir()
    assert host_system(tmp_path) == (
        Mount(source="/usr", target="/usr"),
        Link(target="usr/bin", path="/bin"),
        Mount(source="/lib64", target="/lib64"),
    )


def test_options_can_be_kept_out_of_sight() -> None:
    sandbox = Sandbox(workdir="/srv/app", mounts=(Mount(source="/host/path", target="/srv/app"),))
    words = argv(sandbox, ["sh", "-c", "true"])
    with unseen(words) as command:
        told = os.read(command.descriptor, 1 << 16).split(b"\0")
    assert "/host/path" not in command.argv
    assert b"/host/path" in told
    assert told[-1] == b""
    first, last = words.index("bwrap") + 1, words.index("--", words.index("bwrap"))
    assert [word.decode() for word in told[:-1]] == words[first:last]
    assert list(command.argv[-3:]) == ["sh", "-c", "true"]
