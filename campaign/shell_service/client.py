"""Shells and errands in another container, over its socket; for a campaign as if they were ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import aiohttp
from operators import ToolError
from pydantic import BaseModel, ValidationError

from campaign.model import CommandResult
from campaign.ports import PortError
from campaign.shell_service.wire import Command, Ended, Errand, Opened, Opening, Refused

#: a shell that is opened may wait for the end of the one before it
_OPEN_TIMEOUT_S = 120.0
_ERRAND_TIMEOUT_S = 180.0
#: above what the command itself may take: its shell has to be ended, and another one started
_SLACK_S = 120.0
_URL = "http://shell"

_Wire = TypeVar("_Wire", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteShells:
    """Implements `operators.toolbox.instruments.Shells`."""

    socket: Path
    #: as the container sees it
    python_environment: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> AbstractAsyncContextManager[RemoteShell]:
        return self._open(Opening(environment=self.environment))

    def open_to_look(self) -> AbstractAsyncContextManager[RemoteShell]:
        return self._open(Opening(looks=True))

    @asynccontextmanager
    async def _open(self, opening: Opening) -> AsyncIterator[RemoteShell]:
        """Raises PortError: there is no such container, or it cannot start one."""
        if self.python_environment is not None:
            opening = opening.model_copy(
                update={"python_environment": str(self.python_environment)}
            )
        async with _session(self.socket) as session:
            holding, opened = await _hold(session, opening)
            shell = RemoteShell(session=session, id=opened.id)
            try:
                yield shell
            finally:
                # Should it not be told, or have ended it before, the connection's end is enough.
                with suppress(PortError, ToolError):
                    await asyncio.shield(shell.close())
                holding.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteShell:
    """Implements `operators.toolbox.instruments.Shell`."""

    session: aiohttp.ClientSession
    id: str

    async def run(self, command: str, *, timeout_s: float) -> CommandResult:
        """See the protocol. A caller that is cancelled ends the shell with the command.

        Raises:
            ToolError: too long, ended, or used too much; with what it printed.
            PortError: there is no shell to be had.
        """
        try:
            asked = Command(command=command, timeout_s=timeout_s).model_dump_json()
        except ValueError as error:
            raise ToolError("a command must be text that can be encoded") from error
        said = await _ask(
            self.session,
            f"/shells/{self.id}/run",
            asked.encode(),
            timeout_s=timeout_s + _SLACK_S,
        )
        return _result(said)

    async def restart(self) -> None:
        await _ask(self.session, f"/shells/{self.id}/restart", b"", timeout_s=_SLACK_S)

    async def close(self) -> None:
        await _ask(self.session, f"/shells/{self.id}/close", b"", timeout_s=_SLACK_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSandbox:
    """Implements `operators.toolbox.equipment.Sandbox`: as the operator's user."""

    socket: Path

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        """Only the end of a long output is kept.

        Raises:
            PortError: the command cannot be started at all.
        """
        body = Errand(argv=argv).model_dump_json().encode() + b"\n" + stdin
        async with _session(self.socket) as session:
            return _result(await _ask(session, "/run", body, timeout_s=_ERRAND_TIMEOUT_S))


def _session(socket: Path) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket), limit=0))


async def _hold(
    session: aiohttp.ClientSession, opening: Opening
) -> tuple[aiohttp.ClientResponse, Opened]:
    try:
        async with asyncio.timeout(_OPEN_TIMEOUT_S):
            answer = await session.post(
                f"{_URL}/shells",
                data=opening.model_dump_json(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
            if answer.status != HTTPStatus.OK:
                raise _refusal(answer.status, await answer.read())
            return answer, Opened.model_validate_json(await answer.content.readline())
    except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
        raise _unreachable(error) from error


async def _ask(
    session: aiohttp.ClientSession, path: str, body: bytes, *, timeout_s: float
) -> bytes:
    try:
        async with session.post(
            _URL + path, data=body, timeout=aiohttp.ClientTimeout(total=timeout_s)
        ) as answer:
            said = await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _unreachable(error) from error
    if answer.status != HTTPStatus.OK:
        raise _refusal(answer.status, said)
    return said


def _result(said: bytes) -> CommandResult:
    ended = _read(Ended, said)
    return CommandResult(exit_code=ended.exit_code, output=ended.output)


def _read(kind: type[_Wire], said: bytes) -> _Wire:
    try:
        return kind.model_validate_json(said)
    except ValidationError as error:
        raise _unreachable(error) from error


def _refusal(status: int, said: bytes) -> Exception:
    refused = _read(Refused, said)
    if status == HTTPStatus.CONFLICT:
        return ToolError(refused.reason)
    return PortError("shell", refused.reason)


def _unreachable(error: Exception) -> PortError:
    what = str(error).strip() or type(error).__name__
    return PortError("shell", f"its container does not answer: {what}")
