"""Talks to a supervisor over its control socket."""

from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import TypeAdapter

from campaign.supervisor.wire import (
    DeploymentRequest,
    DeploymentResult,
    Logs,
    Problem,
    Status,
)

_RESULTS = TypeAdapter(tuple[DeploymentResult, ...])
_OK = 200
_CONFLICT = 409


class SupervisorError(Exception):
    """The supervisor refused a request, or cannot be reached."""


class ConflictError(SupervisorError):
    """Another deployment is under way, or the id belongs to another revision."""


class SupervisorClient:
    """An async context manager; every method raises `SupervisorError` when it cannot answer."""

    def __init__(self, control_socket: Path, *, timeout_s: float = 10.0) -> None:
        self._path = control_socket
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(path=str(self._path))
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def status(self) -> Status:
        return Status.model_validate_json(await self._ask("GET", "/status"))

    async def deploy(
        self, request: DeploymentRequest, *, timeout_s: float | None = None
    ) -> DeploymentResult:
        """Deploy and wait for the result, by default as long as it takes.

        Giving up (or losing the connection) does not cancel the deployment: ask again with the
        same id.

        Raises:
            ConflictError: another one is under way, or the id belongs to another revision.
        """
        body = await self._ask(
            "POST",
            "/deployments",
            body=request.model_dump_json(),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        )
        return DeploymentResult.model_validate_json(body)

    async def deployments(self) -> tuple[DeploymentResult, ...]:
        return _RESULTS.validate_json(await self._ask("GET", "/deployments"))

    async def logs(self, *, tail: int = 200) -> tuple[str, ...]:
        return Logs.model_validate_json(await self._ask("GET", f"/logs?tail={tail}")).lines

    async def stop(self) -> None:
        """Ask the supervisor to drain the app and to end; it answers before it has."""
        await self._ask("POST", "/stop")

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's own
    ) -> bytes:
        if self._session is None:
            raise SupervisorError("use the client in an async with statement")
        try:
            async with self._session.request(
                method, f"http://supervisor{path}", data=body, timeout=timeout or self._timeout
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            what = str(error) or type(error).__name__
            raise SupervisorError(f"the supervisor does not answer: {what}") from error
        if response.status != _OK:
            raise _refusal(response.status, answer)
        return answer


def _refusal(status: int, answer: bytes) -> SupervisorError:
    try:
        what = "; ".join(Problem.model_validate_json(answer).errors)
    except ValueError:
        what = f"{status}: {answer[:200].decode(errors='replace')}"
    return ConflictError(what) if status == _CONFLICT else SupervisorError(what)
