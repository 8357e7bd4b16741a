"""Commands in the workspace: in the sandbox they see its files and nothing of the harness."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from campaign import sandbox
from campaign.identity import Identity, app_identity, launcher
from campaign.model import CommandResult
from campaign.ports import PortError
from campaign.seccomp import filter_descriptor

#: where the workspace appears inside
_INSIDE = "/srv/app"
_TIMEOUT_S = 60.0
_MAX_OUTPUT_BYTES = 64 * 1024
_TIMED_OUT = 124  # as coreutils' `timeout` answers
#: far more than a look into files needs, or git for a patch
_LIMITS = sandbox.Limits(
    processes=32, address_space_bytes=1 << 30, file_size_bytes=64 << 20, open_files=256
)
_TMP_BYTES = 64 << 20
#: those of the same user count together: more than all of a shell's
_LODGED = replace(_LIMITS, processes=256 + 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    argv: tuple[str, ...]
    #: never ours: a key may be in that
    environment: Mapping[str, str] = field(
        default_factory=lambda: {"PATH": os.environ.get("PATH", sandbox.SYSTEM_PATH)}
    )
    #: descriptors that it must get
    inherited: tuple[int, ...] = ()


class WorkspaceShell:
    """Runs one command at a time; without a sandbox, as an ordinary child of ours."""

    def __init__(
        self,
        workspace: Path,
        *,
        confined: bool,
        lodger: Identity | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        """`lodger`: the container around us is the sandbox, and this user is the operator's."""
        self._workspace = workspace.absolute()
        self._confined = confined
        self._lodger = lodger
        self._timeout_s = timeout_s

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        """Only the end of a long output is kept.

        Raises:
            PortError: the command cannot be started at all.
        """
        process = await self._start(argv)
        output = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.gather(_write(process, stdin), _read(process, output))
                exit_code = await process.wait()
        except TimeoutError:
            output += f"\nended after {self._timeout_s:.0f} s".encode()
            exit_code = _TIMED_OUT
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return CommandResult(exit_code=exit_code, output=output.decode(errors="replace"))

    async def _start(self, argv: tuple[str, ...]) -> asyncio.subprocess.Process:
        with self._command(argv) as command:
            try:
                return await asyncio.create_subprocess_exec(
                    *command.argv,
                    cwd=self._workspace,
                    env=dict(command.environment),
                    pass_fds=command.inherited,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
            except OSError as error:
                raise PortError("sandbox", f"{argv[0]} cannot be started: {error}") from error

    @contextmanager
    def _command(self, argv: tuple[str, ...]) -> Iterator[_Command]:
        if self._lodger is not None:
            yield _Command(
                argv=(*launcher(self._lodger), *sandbox.prlimit(_LODGED), *argv),
                environment={
                    "PATH": f"/usr/local/bin:{sandbox.SYSTEM_PATH}",
                    "HOME": "/tmp",  # noqa: S108 - the container's own
                    "LANG": "C.UTF-8",
                    "GIT_CEILING_DIRECTORIES": "/srv",
                },
            )
            return
        if not self._confined:
            yield _Command(argv=argv, environment=self._plain_environment())
            return
        with (
            filter_descriptor() as filter_fd,
            sandbox.unseen(self._sandboxed(argv, filter_fd)) as command,
        ):
            filters = () if filter_fd is None else (filter_fd,)
            yield _Command(argv=command.argv, inherited=(command.descriptor, *filters))

    def _plain_environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", sandbox.SYSTEM_PATH),
            # What lies in the workspace must not configure git.
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "GIT_CEILING_DIRECTORIES": str(self._workspace.parent),
        }

    def _sandboxed(self, argv: tuple[str, ...], filter_fd: int | None) -> list[str]:
        return sandbox.argv(
            sandbox.Sandbox(
                workdir=_INSIDE,
                mounts=(sandbox.Mount(source=str(self._workspace), target=_INSIDE, writable=True),),
                environment={"HOME": "/tmp", "GIT_CEILING_DIRECTORIES": "/srv"},  # noqa: S108 - inside
                identity=app_identity(),
                system=sandbox.host_system(),
                hidden=sandbox.harness_paths(),
                limits=_LIMITS,
                tmp_bytes=_TMP_BYTES,
                seccomp_fd=filter_fd,
            ),
            argv,
        )


async def _write(process: asyncio.subprocess.Process, text: bytes) -> None:
    """A command need not read what it is given."""
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    process.stdin.write(text)
    with suppress(ConnectionError):
        await process.stdin.drain()
    process.stdin.close()
    with suppress(ConnectionError):
        await process.stdin.wait_closed()


async def _read(process: asyncio.subprocess.Process, output: bytearray) -> None:
    """Whatever it writes, no more than its end is held in memory."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    while chunk := await process.stdout.read(_MAX_OUTPUT_BYTES):
        output += chunk
        del output[:-_MAX_OUTPUT_BYTES]
