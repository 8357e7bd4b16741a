"""What a shell of the operator's sees, and how it is started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from campaign.identity import Identity, app_identity, launcher
from campaign.sandbox import (
    SYSTEM_PATH,
    Limits,
    Mount,
    Sandbox,
    argv,
    harness_paths,
    host_system,
    prlimit,
    unseen,
)
from campaign.seccomp import filter_descriptor

#: where the workspace appears inside
WORKSPACE = "/srv/app"
#: where the folder of the database's socket appears inside
DATABASE = "/run/postgresql"

#: where programs are in a container
CONTAINER_PATH = f"/usr/local/bin:{SYSTEM_PATH}"

_BASH = ("bash", "--noprofile", "--norc")
#: where there is no scheduling group to be made smaller
_IDLE = ("chrt", "--idle", "0")
_NICE = ("nice", "-n", "10")
_AUTOGROUP = Path("/proc/self/autogroup")
#: a process may always make itself the first that is ended when memory runs out
_FIRST_TO_DIE = ("choom", "-n", "1000", "--")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything that is visible to a shell besides the system's own programs."""

    workspace: Path
    confined: bool
    #: the container around us is the sandbox, and this user runs nothing else in it
    lodger: Identity | None = None
    #: the workspace cannot be changed; only where it is confined
    read_only: bool = False
    #: a Python environment (as `python -m venv` makes it), first on PATH; read-only inside
    python_environment: Path | None = None
    #: the folder of its interpreter's library, where that is not below /usr
    interpreter_prefix: Path | None = None
    #: the folder of the database's socket, for the app's own tests; None: not to be seen
    database_dir: Path | None = None
    #: such as DATABASE_URL, with the paths that hold inside
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(
        default_factory=lambda: Limits(
            processes=256,
            address_space_bytes=4 << 30,
            file_size_bytes=256 << 20,
            open_files=1024,
        )
    )
    tmp_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How to start one bash; `inherited` are descriptors that it (or bwrap) must get."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    inherited: tuple[int, ...]
    #: read end: bwrap says there, as JSON, which process is above all inside; None: unconfined
    status_fd: int | None
    #: False: a process group only, where making sessions is filtered away
    new_session: bool = True


@contextmanager
def starting(surroundings: Surroundings) -> Iterator[Start]:
    """Descriptors are closed at the end; whoever wants `status_fd` for longer copies it."""
    if surroundings.lodger is not None:
        yield _lodged(surroundings, surroundings.lodger)
        return
    if not surroundings.confined:
        yield _plain(surroundings)
        return
    with ExitStack() as opened:
        seccomp_fd = opened.enter_context(filter_descriptor())
        reading, writing = os.pipe()
        opened.callback(os.close, reading)
        opened.callback(os.close, writing)
        command = opened.enter_context(
            unseen(argv(_sandbox(surroundings, writing, seccomp_fd), _command()))
        )
        inherited = (writing, command.descriptor)
        yield Start(
            argv=command.argv,
            environment={"PATH": SYSTEM_PATH},
            cwd=Path("/"),
            inherited=inherited if seccomp_fd is None else (*inherited, seccomp_fd),
            status_fd=reading,
        )


def _plain(surroundings: Surroundings) -> Start:
    """With no more of our environment than is needed to find programs."""
    return Start(
        argv=(*_NICE, *_BASH),
        environment=_environment(
            surroundings, path=os.environ.get("PATH", SYSTEM_PATH), home=surroundings.workspace
        ),
        cwd=surroundings.workspace,
        inherited=(),
        status_fd=None,
    )


def _lodged(surroundings: Surroundings, lodger: Identity) -> Start:
    return Start(
        argv=(
            *launcher(lodger),
            *prlimit(surroundings.limits),
            *_FIRST_TO_DIE,
            *_NICE,
            *_BASH,
        ),
        environment=_environment(surroundings, path=CONTAINER_PATH, home=Path("/tmp")),  # noqa: S108
        cwd=surroundings.workspace,
        inherited=(),
        status_fd=None,
        new_session=False,
    )


def _sandbox(surroundings: Surroundings, status_fd: int, seccomp_fd: int | None) -> Sandbox:
    return Sandbox(
        workdir=WORKSPACE,
        mounts=_mounts(surroundings),
        environment=_environment(surroundings, path=SYSTEM_PATH, home=Path("/tmp")),  # noqa: S108
        identity=app_identity(),
        limits=surroundings.limits,
        system=host_system(),
        hidden=harness_paths(),
        tmp_bytes=surroundings.tmp_bytes,
        status_fd=status_fd,
        seccomp_fd=seccomp_fd,
    )


def _mounts(surroundings: Surroundings) -> tuple[Mount, ...]:
    workspace = str(surroundings.workspace.absolute())
    mounts = [Mount(source=workspace, target=WORKSPACE, writable=not surroundings.read_only)]
    mounts += [
        Mount(source=str(folder), target=str(folder))
        for folder in (surroundings.python_environment, surroundings.interpreter_prefix)
        if folder is not None and not folder.is_relative_to("/usr")
    ]
    if surroundings.database_dir is not None:
        mounts.append(Mount(source=str(surroundings.database_dir), target=DATABASE))
    return tuple(mounts)


def _environment(surroundings: Surroundings, *, path: str, home: Path) -> dict[str, str]:
    python = surroundings.python_environment
    own = {} if python is None else {"VIRTUAL_ENV": str(python)}
    return {
        "PATH": path if python is None else f"{python}/bin:{path}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # Nobody sits at a terminal there.
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        # The workspace may lie in a repository that is not its own.
        "GIT_CEILING_DIRECTORIES": "/srv"
        if surroundings.confined
        else str(surroundings.workspace.absolute().parent),
        # What lies in the workspace is deployed.
        "PYTHONDONTWRITEBYTECODE": "1",
        **own,
        **surroundings.environment,
    }


def _command() -> tuple[str, ...]:
    return (*(() if _AUTOGROUP.exists() else _IDLE), *_NICE, *_BASH)
