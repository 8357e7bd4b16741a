"""The control API: HTTP with JSON on a Unix socket that the app and its operator cannot open."""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from campaign.supervisor.logs import RING_LINES
from campaign.supervisor.supervisor import DeploymentConflictError, Supervisor
from campaign.supervisor.wire import DeploymentRequest, DeploymentResult, Logs, Problem

_RESULTS = TypeAdapter(tuple[DeploymentResult, ...])
_SUPERVISOR = web.AppKey("supervisor", Supervisor)
_OWNER_ONLY = 0o600
_ALL = 0o777


def build(supervisor: Supervisor) -> web.Application:
    app = web.Application(middlewares=[_refusals])
    app[_SUPERVISOR] = supervisor
    app.router.add_get("/status", _status)
    app.router.add_get("/deployments", _deployments)
    app.router.add_post("/deployments", _deploy)
    app.router.add_get("/logs", _logs)
    app.router.add_post("/stop", _stop)
    return app


def control_socket(path: Path, *, mode: int = _OWNER_ONLY) -> socket.socket:
    """Return a bound socket with these permissions from its first moment."""
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    former = os.umask(_ALL & ~mode)
    try:
        bound.bind(os.fspath(path))
    finally:
        os.umask(former)
    return bound


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return _json(Problem(errors=tuple(problems)), status=400)
    except DeploymentConflictError as error:
        return _json(Problem(errors=(str(error),)), status=409)


def _json(body: BaseModel, *, status: int = 200) -> web.Response:
    return web.json_response(text=body.model_dump_json(), status=status)


async def _status(request: web.Request) -> web.Response:
    return _json(request.app[_SUPERVISOR].status())


async def _deployments(request: web.Request) -> web.Response:
    results = request.app[_SUPERVISOR].deployments()
    return web.json_response(body=_RESULTS.dump_json(results))


async def _deploy(request: web.Request) -> web.Response:
    wanted = DeploymentRequest.model_validate_json(await request.read())
    return _json(await request.app[_SUPERVISOR].deploy(wanted))


async def _logs(request: web.Request) -> web.Response:
    text = request.query.get("tail", "200")
    if not text.isdecimal() or int(text) > RING_LINES:
        problem = f"tail: a number up to {RING_LINES}, not {text!r}"
        return _json(Problem(errors=(problem,)), status=400)
    return _json(Logs(lines=request.app[_SUPERVISOR].logs(int(text))))


async def _stop(request: web.Request) -> web.Response:
    request.app[_SUPERVISOR].stop()
    return web.json_response({})
