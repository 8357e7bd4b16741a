"""The one place that knows how to confine a process.

The target app and the operator's shell run in the same kind of sandbox: bubblewrap with its own
user, process, network and mount namespaces, no capabilities, a read-only root that holds the
system's programs and what is bound in, and nothing else. Started as root, the process is first
dropped to an unprivileged user (see `campaign.identity`).

`argv` only asks who we are and where ``setpriv`` is; `host_system`, `harness_paths` and
`unavailable` look at the machine. Needs bubblewrap 0.8 (``--disable-userns``).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from campaign.identity import Identity, launcher, own_identity

#: Where the unprivileged part of every child's PATH ends.
SYSTEM_PATH = "/usr/bin:/bin"

_PROBE_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of the host that is visible inside, read-only unless said otherwise."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link inside, such as /bin to usr/bin."""

    target: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Resource limits of every process inside; None leaves what is inherited.

    ``processes`` counts inside the sandbox's own user namespace, so it does not depend on what
    else the same user runs.
    """

    processes: int | None = 256
    address_space_bytes: int | None = 4 << 30
    file_size_bytes: int | None = 256 << 20
    open_files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What a confined process sees and may use."""

    workdir: str
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=own_identity)
    limits: Limits = field(default_factory=Limits)
    #: The host's programs and libraries, from `host_system`.
    system: tuple[Mount | Link, ...] = ()
    #: Folders of the system that must look empty inside, from `harness_paths`.
    hidden: tuple[str, ...] = ()
    network: bool = False
    #: Size of the private /tmp, and of /dev/shm.
    tmp_bytes: int = 256 << 20
    #: bwrap writes its child's process id to this descriptor, as JSON.
    status_fd: int | None = None
    #: bwrap reads a filter of system calls from this descriptor (see `campaign.seccomp`).
    seccomp_fd: int | None = None


def argv(sandbox: Sandbox, command: Sequence[str]) -> list[str]:
    """Return the argument list that runs ``command`` inside ``sandbox``.

    File descriptors that are inheritable reach the command: hand over only what it may have, and
    never a TCP socket (it can be re-connected to the host's loopback from inside).
    """
    return [
        *launcher(sandbox.identity),
        "bwrap",
        *_filesystem(sandbox),
        *_environment(sandbox),
        *_isolation(sandbox),
        "--",
        *prlimit(sandbox.limits),
        *command,
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """A command line that tells nothing, and the descriptor that it must inherit."""

    argv: tuple[str, ...]
    descriptor: int


@contextmanager
def unseen(arguments: Sequence[str], *, known_as: int | None = None) -> Iterator[Unseen]:
    """The same as `argv` returned, with bwrap's options out of sight.

    Process 1 inside is bwrap itself, and everybody inside can read its command line: the host's
    paths would be in it. `known_as` is the descriptor's number in the child, if that is another.
    """
    first = arguments.index("bwrap") + 1
    last = arguments.index("--", first)
    reading, writing = os.pipe()
    try:
        os.write(writing, b"".join(os.fsencode(word) + b"\0" for word in arguments[first:last]))
        os.close(writing)
        number = reading if known_as is None else known_as
        words = (*arguments[:first], "--args", str(number), *arguments[last:])
        yield Unseen(argv=words, descriptor=reading)
    finally:
        os.close(reading)


def host_system(root: Path = Path("/")) -> tuple[Mount | Link, ...]:
    """Return the system's programs and libraries as they must appear inside.

    Folders such as /bin are links on a merged-/usr system and folders on others; both are kept.
    """
    found: list[Mount | Link] = [Mount(source="/usr", target="/usr")]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = root / name
        if path.is_symlink():
            found.append(Link(target=str(path.readlink()), path=f"/{name}"))
        elif path.is_dir():
            found.append(Mount(source=f"/{name}", target=f"/{name}"))
    found += [
        Mount(source=f"/etc/{name}", target=f"/etc/{name}")
        for name in ("alternatives", "ld.so.cache")
        if (root / "etc" / name).exists()
    ]
    return tuple(found)


def harness_paths() -> tuple[str, ...]:
    """Return what must be hidden when this harness itself is installed below /usr."""
    home = Path(__file__).resolve().parent.parent
    return (str(home),) if home.is_relative_to("/usr") else ()


def unavailable(identity: Identity) -> str | None:
    """Return why no sandbox can be had here, or None when one was really started."""
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    missing = [name for name in ("bwrap", "setpriv", "prlimit") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: apt install bubblewrap util-linux)"
    probe = Sandbox(workdir="/", identity=identity, system=host_system())
    try:
        done = subprocess.run(
            argv(probe, ["true"]),
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a sandbox did not start within {_PROBE_TIMEOUT_S} s"
    return None if done.returncode == 0 else _first_line(done.stderr)


def _filesystem(sandbox: Sandbox) -> list[str]:
    size = str(sandbox.tmp_bytes)
    return [
        *_each(sandbox.system),
        *(word for path in sandbox.hidden for word in ("--tmpfs", path)),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", size, "--tmpfs", "/dev/shm"),  # noqa: S108 - the sandbox's own
        *("--size", size, "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
        *_each(sandbox.mounts),
        # Nothing inside may undo what is set from outside there: scheduling group, OOM score.
        *("--remount-ro", "/proc"),
        *("--remount-ro", "/", "--chdir", sandbox.workdir),
    ]


def _each(entries: Sequence[Mount | Link]) -> list[str]:
    words: list[str] = []
    for entry in entries:
        if isinstance(entry, Link):
            words += ["--symlink", entry.target, entry.path]
        else:
            words += ["--bind" if entry.writable else "--ro-bind", entry.source, entry.target]
    return words


def _environment(sandbox: Sandbox) -> list[str]:
    words = ["--clearenv"]
    for name, value in ({"PATH": SYSTEM_PATH} | dict(sandbox.environment)).items():
        words += ["--setenv", name, value]
    return words


def _isolation(sandbox: Sandbox) -> list[str]:
    return [
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        "--unshare-cgroup-try",
        *([] if sandbox.network else ["--unshare-net"]),
        *("--disable-userns", "--new-session", "--die-with-parent", "--cap-drop", "ALL"),
        *([] if sandbox.status_fd is None else ["--json-status-fd", str(sandbox.status_fd)]),
        *([] if sandbox.seccomp_fd is None else ["--seccomp", str(sandbox.seccomp_fd)]),
    ]


def prlimit(limits: Limits) -> list[str]:
    """What to put in front of a command line so that these limits hold for it."""
    wanted = {
        "--nproc": limits.processes,
        "--as": limits.address_space_bytes,
        "--fsize": limits.file_size_bytes,
        "--nofile": limits.open_files,
        "--core": 0,
        # Some systems let a user raise its priority (for sound): not in here.
        "--nice": 0,
        "--rtprio": 0,
    }
    return [
        "prlimit",
        *(f"{name}={value}" for name, value in wanted.items() if value is not None),
        "--",
    ]


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "a sandbox could not be started")
