"""How one release of the app is started: its sandbox, its environment, its argument list."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaign.identity import Identity, launcher
from campaign.sandbox import (
    SYSTEM_PATH,
    Link,
    Mount,
    Sandbox,
    argv,
    harness_paths,
    host_system,
    prlimit,
    unseen,
)
from campaign.seccomp import filter_descriptor
from campaign.supervisor.config import SupervisorConfig
from campaign.supervisor.environments import Interpreter
from campaign.supervisor.model import Release
from campaign.supervisor.process import (
    ARGUMENTS_FD,
    FILTER_FD,
    LISTEN_FD,
    STATUS_FD,
    Confinement,
    Spawn,
)

#: Where the app finds its source and Postgres's socket inside the sandbox.
SOURCE = "/srv/app"
DATABASE = "/run/postgresql"

#: When memory runs out the app ends before any part of the harness does (of at most 1000); all
#: that it starts inherits that, and inside nobody can undo it.
_DIES_EARLY = ("choom", "-n", "900", "--")

#: posix_spawn has no working directory: a shell takes the first step and execs.
_ENTER = ("/bin/sh", "-c", 'cd "$0" && exec "$@"')


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRecipe:
    """All that a process of the app is started from, besides its release."""

    config: SupervisorConfig
    #: whom its processes may run as: one for all, or one each
    identities: tuple[Identity, ...]
    interpreter: Interpreter
    system: tuple[Mount | Link, ...]

    @classmethod
    def on_this_machine(
        cls,
        config: SupervisorConfig,
        *,
        identities: tuple[Identity, ...],
        interpreter: Interpreter,
    ) -> "AppRecipe":
        return cls(
            config=config,
            identities=identities,
            interpreter=interpreter,
            system=host_system(),
        )

    @contextmanager
    def spawn(
        self, release: Release, *, identity: Identity, listener_fd: int, output_fd: int
    ) -> Iterator[Spawn]:
        """What to start it with, while its descriptors are open."""
        environment = self._environment(release)
        if self.config.sandbox != "bubblewrap":
            yield Spawn(
                argv=self._plain(release, environment, identity),
                environment=environment,
                listener_fd=listener_fd,
                output_fd=output_fd,
            )
            return
        with filter_descriptor() as filter_fd:
            words = self._confined(release, environment, identity, filtered=filter_fd is not None)
            with unseen(words, known_as=ARGUMENTS_FD) as command:
                yield Spawn(
                    argv=command.argv,
                    # Everybody inside can read it, as that of process 1.
                    environment={"PATH": SYSTEM_PATH},
                    listener_fd=listener_fd,
                    output_fd=output_fd,
                    confinement=Confinement(arguments_fd=command.descriptor, filter_fd=filter_fd),
                )

    def _confined(
        self,
        release: Release,
        environment: dict[str, str],
        identity: Identity,
        *,
        filtered: bool,
    ) -> list[str]:
        sandbox = Sandbox(
            workdir=SOURCE,
            mounts=self._mounts(release),
            environment=environment,
            identity=identity,
            limits=self.config.limits.limits(),
            system=self.system,
            hidden=harness_paths(),
            status_fd=STATUS_FD,
            # With a scheduling group for each of its processes it would starve all others. Its
            # one group keeps the share that any other part has: load must not break it sooner.
            seccomp_fd=FILTER_FD if filtered else None,
        )
        return [*_first(), *argv(sandbox, self.config.command)]

    def _plain(
        self, release: Release, environment: dict[str, str], identity: Identity
    ) -> list[str]:
        """Without a sandbox, or in a container that is one."""
        program, *words = self.config.command
        found = shutil.which(program, path=environment["PATH"]) or program
        is_contained = self.config.sandbox == "container"
        limits = prlimit(self.config.limits.limits()) if is_contained else []
        return [*_first(), *launcher(identity), *limits, *_ENTER, release.source, found, *words]

    def _mounts(self, release: Release) -> tuple[Mount, ...]:
        mounts = [
            Mount(source=release.source, target=SOURCE),
            Mount(source=release.environment, target=release.environment),
        ]
        if self.config.database_dir is not None:
            mounts.append(Mount(source=str(self.config.database_dir), target=DATABASE))
        if not Path(self.interpreter.prefix).is_relative_to("/usr"):
            mounts.append(Mount(source=self.interpreter.prefix, target=self.interpreter.prefix))
        return tuple(mounts)

    def _environment(self, release: Release) -> dict[str, str]:
        return {
            "PATH": f"{release.environment}/bin:{SYSTEM_PATH}",
            "VIRTUAL_ENV": release.environment,
            "HOME": "/tmp",  # noqa: S108 - the sandbox's own
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            # The source is read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.config.environment,
            "LISTEN_FD": str(LISTEN_FD),
        }


def _first() -> tuple[str, ...]:
    """What comes before all else, where it is to be had: with util-linux, on Linux."""
    return () if shutil.which(_DIES_EARLY[0]) is None else _DIES_EARLY
