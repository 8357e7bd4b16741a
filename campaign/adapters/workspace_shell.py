"""Commands in the workspace: in the sandbox they see its files and nothing of the harness."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from campaign import sandbox
from campaign.model import CommandResult
from campaign.ports import PortError

#: where the workspace appears inside
_INSIDE = "/srv/app"
_TIMEOUT_S = 60.0
_MAX_OUTPUT_BYTES = 64 * 1024
_TIMED_OUT = 124  # as coreutils' `timeout` answers


class WorkspaceShell:
    """Runs one command at a time; without a sandbox, as an ordinary child of ours."""

    def __init__(self, workspace: Path, *, confined: bool) -> None:
        self._workspace = workspace
        self._confined = confined

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        """Raises PortError when the command cannot be started at all."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(argv),
                cwd=self._workspace,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            raise PortError("sandbox", f"{argv[0]} cannot be started: {error}") from error
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                output, _ = await process.communicate(stdin)
        except TimeoutError:
            return CommandResult(exit_code=_TIMED_OUT, output=f"ended after {_TIMEOUT_S:.0f} s")
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return CommandResult(
            exit_code=process.returncode or 0,
            output=output[-_MAX_OUTPUT_BYTES:].decode(errors="replace"),
        )

    def _command(self, argv: tuple[str, ...]) -> list[str]:
        if not self._confined:
            return list(argv)
        return sandbox.argv(
            sandbox.Sandbox(
                workdir=_INSIDE,
                mounts=(sandbox.Mount(source=str(self._workspace), target=_INSIDE, writable=True),),
                environment={"HOME": "/tmp", "GIT_CEILING_DIRECTORIES": "/srv"},  # noqa: S108 - inside
                identity=sandbox.identity_of("daemon"),
                system=sandbox.host_system(),
                hidden=sandbox.harness_paths(),
            ),
            argv,
        )
