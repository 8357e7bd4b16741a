"""Every control of the boundary, and how to switch that one off: so that an attack can succeed.

What is switched off gives way to a wider bound, never to none, so that no attack endangers the
machine. As a program it is the supervisor with one control off:
`python -m tests.hostile_controls NAME --config FILE`.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

from operators.briefing import quoting, selection
from operators.toolbox import files as file_tools

from campaign import sandbox, seccomp
from campaign.adapters.instruments import bash, logs, metrics, shell, surroundings
from campaign.adapters.instruments.database_log import LogEntry
from campaign.adapters.instruments.log_lines import facts_of
from campaign.adapters.instruments.watch import Watch
from campaign.adapters.workspace import files
from campaign.adapters.workspace import workspace as workspaces
from campaign.seats.register import Register
from campaign.supervisor import app, environments, process
from campaign.supervisor import logs as app_logs
from campaign.supervisor.__main__ import main as supervise

Words: TypeAlias = list[str]

#: where the host's files appear when what is visible is not bounded
HOST = "/host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What is put in the place of an attribute."""

    owner: Any
    name: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One thing that stops attacks; `off` is asked when it is switched off."""

    #: where it is
    place: str
    off: Callable[[], Sequence[Replacement]]


@contextmanager
def without(name: str | None) -> Iterator[None]:
    """Within the block that control is off; None: all are on."""
    with ExitStack() as stack:
        for each in () if name is None else CONTROLS[name].off():
            stack.enter_context(mock.patch.object(each.owner, each.name, each.value))
        yield


# -- what `campaign.sandbox` tells bubblewrap ----------------------------------------------------


def _changed(part: str, change: Callable[[Words], Words]) -> Replacement:
    """Of the words that the function `part` gives."""
    original = getattr(sandbox, part)
    return Replacement(owner=sandbox, name=part, value=lambda given: change(list(original(given))))


def _words(part: str, change: Callable[[Words], Words]) -> Callable[[], Sequence[Replacement]]:
    return lambda: [_changed(part, change)]


def _less(*options: str) -> Callable[[Words], Words]:
    return lambda words: [word for word in words if word not in options]


def _without_pair(words: Words, option: str, value: str) -> Words:
    at = list(pairwise(words)).index((option, value))
    return words[:at] + words[at + 2 :]


def _wider(beginning: str, value: str) -> Callable[[Words], Words]:
    return lambda words: [f"{beginning}{value}" if w.startswith(beginning) else w for w in words]


def _larger_tmp(words: Words) -> Words:
    before = ["", *words]
    return [
        str(512 << 20) if option == "--size" else word
        for option, word in zip(before, words, strict=False)
    ]


def _processes_of_the_host(words: Words) -> Words:
    words = _without_pair(_without_pair(words, "--proc", "/proc"), "--remount-ro", "/proc")
    return ["--ro-bind", "/proc", "/proc", *words]


def _options_to_be_seen() -> Sequence[Replacement]:
    @contextmanager
    def seen(arguments: Sequence[str], **_: Any) -> Iterator[sandbox.Unseen]:
        descriptor = os.open(os.devnull, os.O_RDONLY)
        try:
            yield sandbox.Unseen(argv=tuple(arguments), descriptor=descriptor)
        finally:
            os.close(descriptor)

    return [Replacement(owner=owner, name="unseen", value=seen) for owner in (app, surroundings)]


# -- what processes are started with ---------------------------------------------------------------


def _our_environment() -> Sequence[Replacement]:
    started, spawned = surroundings.Start, process.Spawn

    def start(**given: Any) -> surroundings.Start:
        return started(**{**given, "environment": dict(os.environ)})

    def spawn(**given: Any) -> process.Spawn:
        return spawned(**{**given, "environment": dict(os.environ)})

    return [
        _changed("_environment", _less("--clearenv")),
        Replacement(owner=surroundings, name="Start", value=start),
        Replacement(owner=app, name="Spawn", value=spawn),
    ]


def _a_tcp_socket_besides() -> Sequence[Replacement]:
    """As a careless harness hands it over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Clear of the numbers that a child is given, and inherited by it.
        kept = socket.socket(fileno=fcntl.fcntl(listener, fcntl.F_DUPFD, 100))
    started = surroundings.Start

    def start(**given: Any) -> surroundings.Start:
        return started(**{**given, "inherited": (*given["inherited"], kept.fileno())})

    return [
        Replacement(owner=surroundings, name="Start", value=start),
        Replacement(owner=process, name="_inherit_nothing", value=lambda: None),
    ]


def _wider_watch(**allowance: int) -> Callable[[], Sequence[Replacement]]:
    def off() -> Sequence[Replacement]:
        watched = Watch

        def watch(pid: int, *, allowance: Any, **others: Any) -> Any:
            return watched(pid, allowance=replace(allowance, **wider), **others)

        wider = allowance
        return [Replacement(owner=shell, name="Watch", value=watch)]

    return off


def _any_log() -> Sequence[Replacement]:
    budget = app_logs.LogBudget
    large = functools.partial(budget, burst_bytes=1 << 30, tokens=1 << 30)
    return [
        Replacement(owner=app_logs, name="LogBudget", value=large),
        Replacement(owner=app_logs.AppLog, name="_rotate", value=lambda _: None),
    ]


# -- what the tools and the harness look at -------------------------------------------------------


def _paths_unchecked() -> Sequence[Replacement]:
    check = "raise OutsideError(path)"
    script = file_tools._script()
    assert check in script
    return [
        Replacement(owner=file_tools, name="_script", value=lambda: script.replace(check, "pass"))
    ]


def _any_links() -> Sequence[Replacement]:
    return [Replacement(owner=files, name="refuse_outside_links", value=lambda _: None)]


def _git_in_the_workspace() -> Sequence[Replacement]:
    """As whoever calls `git commit` there."""

    async def commit_object(self: workspaces.Workspace, message: str, *, at: float) -> Any:
        for words in (("add", "-A"), ("commit", "-qm", message)):
            name = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "safe.directory=*")
            subprocess.run(  # noqa: ASYNC221 - careless on purpose
                ["git", *name, *words], cwd=self.path, check=False, capture_output=True
            )
        return await original(self, message, at=at)

    original = workspaces.Workspace.commit_object
    return [Replacement(owner=workspaces.Workspace, name="commit_object", value=commit_object)]


def _any_requirement() -> Sequence[Replacement]:
    def any_text(text: str, *, place: str) -> str:
        del place
        return text

    return [Replacement(owner=environments, name="_requirement", value=any_text)]


def _any_query() -> Sequence[Replacement]:
    return [
        Replacement(owner=metrics, name="_restricted", value=lambda query: query),
        Replacement(owner=metrics, name="_may_be_shown", value=lambda _: True),
    ]


def _all_roles_logs() -> Sequence[Replacement]:
    def entries(lines: Any, *, role: str) -> Any:
        del role
        return (LogEntry(text=line, facts=facts_of(line)) for line in lines)

    return [Replacement(owner=logs, name="entries_of", value=entries)]


def _any_token() -> Sequence[Replacement]:
    async def admitted(self: Register, session: str, token: str) -> Any:
        del token
        return self.seat(session)

    return [Replacement(owner=Register, name="admitted", value=admitted)]


def _plain_fences() -> Sequence[Replacement]:
    def fenced(text: str) -> str:
        return f"```\n{quoting.visible(text)}\n```"

    return [Replacement(owner=selection, name="fenced", value=fenced)]


#: by the name that docs/boundary.md has for it
CONTROLS: Mapping[str, Control] = {
    # Off: as with --allow-unsandboxed-operator.
    "the sandbox": Control(place="campaign/sandbox.py", off=list),
    "a root of its own": Control(
        place="campaign/sandbox.py",
        off=_words("_filesystem", lambda words: ["--bind", "/", HOST, *words]),
    ),
    "no network": Control(
        place="campaign/sandbox.py", off=_words("_isolation", _less("--unshare-net"))
    ),
    "processes of its own": Control(
        place="campaign/sandbox.py",
        off=lambda: [
            _changed("_isolation", _less("--unshare-pid")),
            _changed("_filesystem", _processes_of_the_host),
        ],
    ),
    "shared memory of its own": Control(
        place="campaign/sandbox.py", off=_words("_isolation", _less("--unshare-ipc"))
    ),
    "no further user namespace": Control(
        place="campaign/sandbox.py", off=_words("_isolation", _less("--disable-userns"))
    ),
    "/proc is read-only": Control(
        place="campaign/sandbox.py",
        off=_words("_filesystem", lambda words: _without_pair(words, "--remount-ro", "/proc")),
    ),
    "options out of sight": Control(place="campaign/sandbox.py", off=_options_to_be_seen),
    "a clean environment": Control(
        place="campaign/sandbox.py, campaign/supervisor/app.py", off=_our_environment
    ),
    "no priority to be raised": Control(
        place="campaign/sandbox.py", off=_words("prlimit", _less("--nice=0", "--rtprio=0"))
    ),
    "a limit of processes": Control(
        place="campaign/sandbox.py", off=_words("prlimit", _wider("--nproc=", "400"))
    ),
    "a limit of file size": Control(
        place="campaign/sandbox.py", off=_words("prlimit", _wider("--fsize=", str(64 << 20)))
    ),
    "a /tmp of bounded size": Control(
        place="campaign/sandbox.py", off=_words("_filesystem", _larger_tmp)
    ),
    "a filter of system calls": Control(
        place="campaign/seccomp.py",
        off=lambda: [Replacement(owner=seccomp, name="filter_program", value=lambda: None)],
    ),
    "only Unix sockets are handed over": Control(
        place="campaign/supervisor/process.py, campaign/adapters/instruments/bash.py",
        off=_a_tcp_socket_besides,
    ),
    "memory is watched": Control(
        place="campaign/adapters/instruments/watch.py", off=_wider_watch(memory_bytes=2 << 30)
    ),
    "disk is watched": Control(
        place="campaign/adapters/instruments/watch.py", off=_wider_watch(disk_bytes=2 << 30)
    ),
    "output is bounded": Control(
        place="campaign/adapters/instruments/bash.py",
        off=lambda: [Replacement(owner=bash, name="KEPT_BYTES", value=64 << 20)],
    ),
    "the app's log is bounded": Control(place="campaign/supervisor/logs.py", off=_any_log),
    "paths are followed inside only": Control(
        place="operator/operators/toolbox/inside.py", off=_paths_unchecked
    ),
    "no link out is deployed": Control(
        place="campaign/adapters/workspace/files.py", off=_any_links
    ),
    "git never enters the workspace": Control(
        place="campaign/adapters/workspace", off=_git_in_the_workspace
    ),
    "plain requirements only": Control(
        place="campaign/supervisor/environments.py", off=_any_requirement
    ),
    # Off: the test that needs it makes the role a superuser.
    "a role without privileges": Control(place="campaign/stack/postgres.py", off=list),
    # Off: the test that needs it gives the role more.
    "temporary files are bounded": Control(place="campaign/stack/postgres.py", off=list),
    "the app is the first to die": Control(
        place="campaign/supervisor/app.py",
        off=lambda: [Replacement(owner=app, name="_first", value=tuple)],
    ),
    "seen metrics only": Control(place="campaign/adapters/instruments/promql.py", off=_any_query),
    "one role's log lines only": Control(
        place="campaign/adapters/instruments/database_log.py", off=_all_roles_logs
    ),
    "a token opens one session": Control(place="campaign/seats/register.py", off=_any_token),
    "text of others is fenced": Control(
        place="operator/operators/briefing/quoting.py", off=_plain_fences
    ),
}

#: a control group that the program enters first
GROUP = "HOSTILE_GROUP"

if __name__ == "__main__":
    if group := os.environ.get(GROUP):
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    with without(sys.argv[1] if sys.argv[1] in CONTROLS else None):
        sys.exit(supervise(sys.argv[2:]))
