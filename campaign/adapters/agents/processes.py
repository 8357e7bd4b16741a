"""Runs an agent in its sandbox, with its tools and its model's API as the only ways out."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from operators.command import AgentAdapter, Invocation, Launch, Places, RunnerError

from campaign import sandbox
from campaign.adapters.agents.executable import find_executable
from campaign.adapters.agents.model_relay import ModelRelay
from campaign.adapters.agents.process import Process
from campaign.adapters.agents.room import (
    INSIDE,
    Ports,
    Room,
    base_environment,
    held_ports,
    open_room,
)
from campaign.identity import app_identity, can_enter, launcher, own_identity
from campaign.seccomp import filter_descriptor

#: the sandbox has a loopback of its own
_PORTS = Ports(tools=8401, model=8402)
_HOME = "/tmp/home"  # noqa: S108 - the sandbox's own
_PROGRAMS = "/opt/agent"
_PATH = f"{_PROGRAMS}:/usr/local/bin:{sandbox.SYSTEM_PATH}"
#: JavaScript's engines reserve far more address space than they use
_LIMITS = sandbox.Limits(processes=512, address_space_bytes=None)
_TMP_BYTES = 512 << 20
#: what it computes must not slow the app that is measured
_NICE = ("nice", "-n", "10")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How a run is set up: confined, or as an ordinary child."""

    places: Places
    ports: Ports
    #: where the agent sees its room
    seen_at: str
    #: the relay, which starts the agent
    command: tuple[str, ...]
    #: None: unconfined
    box: sandbox.Sandbox | None = None


class AgentProcesses:
    """Implements `AgentRunner`. Unconfined, an agent has the network and all that its user has."""

    def __init__(
        self,
        *,
        key_of: Callable[[str], str | None] | None = None,
        environ: Mapping[str, str] | None = None,
        confined: bool = True,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._key_of = key_of or self._environ.get
        self._confined = confined
        self._identity = app_identity() if confined else own_identity()
        #: a sandbox was started once: it takes a second, and what it needs stays installed
        self._has_sandbox = False

    def require(self, adapter: AgentAdapter) -> None:
        """Look whether it could be run, without running it.

        Raises:
            RunnerError: what is missing, and what to do.
        """
        executable = find_executable(adapter)
        self._key(adapter)
        self._check(executable, adapter)

    @asynccontextmanager
    async def run(self, launch: Launch) -> AsyncIterator[Process]:
        """One run of an agent; nothing of it is left when the block ends.

        Raises:
            RunnerError: what is missing, and what to do.
        """
        executable = find_executable(launch.adapter)
        relay = self._relay(launch)
        # In a thread: the campaign goes on meanwhile.
        await asyncio.to_thread(self._check, executable, launch.adapter)
        async with AsyncExitStack() as stack:
            try:
                process = await self._set_up(stack, launch, executable, relay)
            except OSError as error:
                # No room on the disk, no process to be had: nothing that an agent did.
                raise RunnerError(f"the agent cannot be started: {error}") from error
            stack.push_async_callback(process.end)
            yield process

    async def _set_up(
        self, stack: AsyncExitStack, launch: Launch, executable: Path, relay: ModelRelay | None
    ) -> Process:
        room = stack.enter_context(open_room(self._identity))
        sockets = room.listen()
        stack.callback(sockets.close)
        ports = _PORTS if self._confined else stack.enter_context(held_ports())
        plan = self._plan(room, ports, executable, launch.adapter)
        invocation = self._complete(launch, plan)
        room.furnish(
            invocation,
            seen_at=plan.seen_at,
            home=plan.places.home,
            ports=plan.ports,
            command=[*self._program(executable), *invocation.arguments],
        )
        await stack.enter_async_context(launch.serve_tools(sockets.tools))
        if relay is not None:
            await stack.enter_async_context(relay.serve(sockets.model))
        return await self._start(plan, secrets=() if relay is None else (relay.key,))

    def _relay(self, launch: Launch) -> ModelRelay | None:
        api, key = launch.adapter.model_api, self._key(launch.adapter)
        if api is None:
            return None
        return ModelRelay(
            api=api,
            base_url=launch.base_url or api.base_url,
            key=key,
            may_not_call=launch.may_not_call,
            answered=launch.answered,
            noted=launch.noted,
        )

    def _key(self, adapter: AgentAdapter) -> str:
        """Of its model; empty: it reaches none."""
        api = adapter.model_api
        if api is None:
            return ""
        key = self._key_of(api.key)
        if not key:
            raise RunnerError(
                f"{adapter.title} needs a key for its model: set {api.key}, or give a file that "
                "holds it"
            )
        return key

    def _check(self, executable: Path, adapter: AgentAdapter) -> None:
        missing = [name for name in adapter.needs if not self._environ.get(name)]
        if missing:
            raise RunnerError(f"{adapter.title} needs {', '.join(missing)}: set them")
        if not self._confined:
            return
        if not self._has_sandbox:
            if problem := sandbox.unavailable(self._identity):
                raise RunnerError(
                    f"an agent runs in a sandbox, and there is none to be had: {problem}"
                )
            self._has_sandbox = True
        for path in (executable, *map(Path, adapter.mounts)):
            if not path.exists() or not can_enter(self._identity, path):
                raise RunnerError(
                    f"{path} is not there for the user {self._identity.user}, whom agents run as: "
                    "install it below /usr/local, or open its folders"
                )

    def _plan(self, room: Room, ports: Ports, executable: Path, adapter: AgentAdapter) -> _Plan:
        if not self._confined:
            return self._plain(room, ports)
        python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
        if python is None:
            raise RunnerError("agents need a python3 below /usr: apt install python3")
        box = sandbox.Sandbox(
            workdir="/tmp",  # noqa: S108 - the sandbox's own
            mounts=(
                sandbox.Mount(source=str(room.folder), target=INSIDE),
                sandbox.Mount(source=f"{room.folder}/passwd", target="/etc/passwd"),
                *_program_mounts(executable),
                *(sandbox.Mount(source=path, target=path) for path in adapter.mounts),
            ),
            identity=self._identity,
            limits=_LIMITS,
            system=sandbox.host_system(),
            hidden=sandbox.harness_paths(),
            tmp_bytes=_TMP_BYTES,
        )
        return _Plan(
            places=_places(ports, _HOME),
            ports=ports,
            seen_at=INSIDE,
            command=(*_NICE, python, "-I", f"{INSIDE}/relay.py", f"{INSIDE}/config.json"),
            box=box,
        )

    def _plain(self, room: Room, ports: Ports) -> _Plan:
        seen_at = str(room.folder)
        relay = (sys.executable, "-I", f"{seen_at}/relay.py", f"{seen_at}/config.json")
        return _Plan(
            places=_places(ports, f"{room.folder}/home"),
            ports=ports,
            seen_at=seen_at,
            command=(*launcher(self._identity), *relay),
        )

    def _program(self, executable: Path) -> Sequence[str]:
        if self._confined and not executable.is_relative_to("/usr"):
            return (f"{_PROGRAMS}/{executable.name}",)
        return (str(executable),)

    def _complete(self, launch: Launch, plan: _Plan) -> Invocation:
        """With what every agent has, and what this one needs of ours."""
        wanted = launch.fill(plan.places)
        path = _PATH if self._confined else self._environ.get("PATH", sandbox.SYSTEM_PATH)
        environment = {
            **base_environment(plan.places.home, path),
            **{name: self._environ[name] for name in launch.adapter.needs},
            **wanted.environment,
        }
        return Invocation(
            arguments=wanted.arguments,
            stdin=wanted.stdin,
            environment=environment,
            files=wanted.files,
        )

    async def _start(self, plan: _Plan, *, secrets: Sequence[str]) -> Process:
        with ExitStack() as stack:
            command, descriptors = plan.command, [*plan.ports.held.values()]
            if plan.box is not None:
                seccomp_fd = stack.enter_context(filter_descriptor())
                box = replace(plan.box, seccomp_fd=seccomp_fd)
                hidden = stack.enter_context(sandbox.unseen(sandbox.argv(box, plan.command)))
                command = hidden.argv
                descriptors += [hidden.descriptor, *([] if seccomp_fd is None else [seccomp_fd])]
            try:
                child = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env={"PATH": self._environ.get("PATH", sandbox.SYSTEM_PATH)},
                    cwd="/",
                    pass_fds=descriptors,
                    start_new_session=True,
                )
            except OSError as error:
                raise RunnerError(f"{command[0]} cannot be started: {error}") from error
        return Process(child, secrets=secrets)


def _places(ports: Ports, home: str) -> Places:
    return Places(
        tools_url=f"http://127.0.0.1:{ports.tools}/mcp",
        model_url=f"http://127.0.0.1:{ports.model}",
        home=home,
    )


def _program_mounts(executable: Path) -> Sequence[sandbox.Mount]:
    if executable.is_relative_to("/usr"):
        return ()
    target = f"{_PROGRAMS}/{executable.name}"
    return (sandbox.Mount(source=str(executable), target=target),)
