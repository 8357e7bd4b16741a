"""Runs the operator's shells in this container, for a campaign that asks over a socket.

The container is the sandbox. We are root in it, with the right to become its users and to end
their processes, and no other.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import structlog
from aiohttp import web
from operators import ToolError
from pydantic import BaseModel

from campaign.adapters.instruments.lodger import Lodger
from campaign.adapters.instruments.shell import WorkspaceShell, WorkspaceShells
from campaign.adapters.instruments.surroundings import Surroundings
from campaign.adapters.instruments.watch import Allowance
from campaign.adapters.workspace_shell import WorkspaceShell as OneShot
from campaign.ports import PortError
from campaign.shell_service.wire import (
    MAX_BODY_BYTES,
    Command,
    Ended,
    Errand,
    Opened,
    Opening,
    Refused,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarters:
    """What there is in this container."""

    workspace: Path
    #: environments are taken from below it, and nowhere else
    environments: Path
    #: whose shells may change the workspace
    worker: Lodger
    #: whose may not; he cannot reach the database either
    looker: Lodger
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A shell, and the request that it lasts as long as."""

    shell: WorkspaceShell
    looks: bool
    #: set when it has ended, with all that it had started
    gone: asyncio.Event
    #: set when it is to end
    over: asyncio.Event = field(default_factory=asyncio.Event)


class ShellService:
    """One shell of each kind at a time: a new one takes the place of the one before it."""

    def __init__(self, quarters: Quarters) -> None:
        self._quarters = quarters
        #: which process this is
        self._life = secrets.token_hex(8)
        self._held: dict[str, _Held] = {}
        self._turns = {True: asyncio.Lock(), False: asyncio.Lock()}
        self._one_shot = OneShot(quarters.workspace, confined=True, lodger=quarters.worker.identity)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_refusals], client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/status", self._status)
        app.router.add_post("/run", self._errand)
        app.router.add_post("/shells", self._open)
        app.router.add_post("/shells/{id}/run", self._run)
        app.router.add_post("/shells/{id}/restart", self._restart)
        app.router.add_post("/shells/{id}/close", self._close)
        return app

    async def clear(self) -> None:
        """Nothing of former shells is there."""
        for lodger in (self._quarters.worker, self._quarters.looker):
            await lodger.clear()

    # -- routes ---------------------------------------------------------------------------------

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response({"shells": len(self._held)})

    async def _open(self, request: web.Request) -> web.StreamResponse:
        """Whatever ends this request (its client left, it was told to close) ends the shell."""
        opening = Opening.model_validate_json(await request.read())
        shells = self._shells(opening)
        # One that was forgotten keeps nobody waiting.
        for held in self._held.values():
            if held.looks == opening.looks:
                held.over.set()
        response = web.StreamResponse()
        async with self._turns[opening.looks]:
            gone = asyncio.Event()
            try:
                async with shells.open() as shell:
                    held = _Held(shell=shell, looks=opening.looks, gone=gone)
                    with self._known(held) as name:
                        await response.prepare(request)
                        await response.write(Opened(id=name).model_dump_json().encode() + b"\n")
                        await held.over.wait()
            finally:
                gone.set()
        return response

    async def _run(self, request: web.Request) -> web.Response:
        asked = Command.model_validate_json(await request.read())
        ended = await self._shell(request).shell.run(asked.command, timeout_s=asked.timeout_s)
        return _json(Ended(exit_code=ended.exit_code, output=ended.output))

    async def _restart(self, request: web.Request) -> web.Response:
        await self._shell(request).shell.restart()
        return web.json_response({})

    async def _close(self, request: web.Request) -> web.Response:
        held = self._shell(request)
        held.over.set()
        await held.gone.wait()
        return web.json_response({})

    async def _errand(self, request: web.Request) -> web.Response:
        line, _, stdin = (await request.read()).partition(b"\n")
        errand = Errand.model_validate_json(line)
        async with self._quarters.worker.errand():
            ended = await self._one_shot.run(errand.argv, stdin=stdin)
        return _json(Ended(exit_code=ended.exit_code, output=ended.output))

    # -- how ------------------------------------------------------------------------------------

    @contextmanager
    def _known(self, held: _Held) -> Iterator[str]:
        """By a name that nobody guesses, while it may be used."""
        name = f"{self._life}-{secrets.token_hex(8)}"
        self._held[name] = held
        try:
            yield name
        finally:
            del self._held[name]

    def _shell(self, request: web.Request) -> _Held:
        """Raises ToolError: it is over. PortError: it ended with the process before this one."""
        name = request.match_info["id"]
        try:
            return self._held[name]
        except KeyError:
            if name.startswith(self._life):
                raise ToolError("the session is over") from None
            raise PortError("shell", "its container was started again") from None

    def _shells(self, opening: Opening) -> WorkspaceShells:
        quarters = self._quarters
        lodger = quarters.looker if opening.looks else quarters.worker
        surroundings = Surroundings(
            workspace=quarters.workspace,
            confined=True,
            lodger=lodger.identity,
            read_only=opening.looks,
            python_environment=self._environment(opening.python_environment),
            environment=dict(opening.environment),
        )
        return WorkspaceShells(surroundings, allowance=quarters.allowance, lodger=lodger)

    def _environment(self, asked: str | None) -> Path | None:
        """Raises ValueError: it is elsewhere."""
        if asked is None:
            return None
        path = Path(asked)
        if path.parent != self._quarters.environments:
            raise ValueError(f"{asked} is not in {self._quarters.environments}")
        return path


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ToolError as refused:
        return _json(Refused(reason=str(refused)), status=HTTPStatus.CONFLICT)
    except ValueError as error:
        return _json(Refused(reason=str(error)), status=HTTPStatus.BAD_REQUEST)
    except (PortError, OSError) as error:
        log.warning("shell_failed", action="shell_failed", reason=str(error))
        reason = error.reason if isinstance(error, PortError) else str(error)
        return _json(Refused(reason=reason), status=HTTPStatus.SERVICE_UNAVAILABLE)


def _json(body: BaseModel, *, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.json_response(text=body.model_dump_json(), status=status)
