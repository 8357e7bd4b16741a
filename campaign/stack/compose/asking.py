"""How each service is asked whether it is there, since when, and to end."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from campaign.stack.compose.watch import Alive, Look, Refused, Silent
from campaign.stack.errors import ComponentFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from campaign.stack.compose.places import ComposePlaces

_TIMEOUT = aiohttp.ClientTimeout(total=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpService:
    """A service that speaks HTTP, by TCP or on a Unix socket."""

    name: str
    #: without a slash at its end; with a socket, its host is only a name
    url: str
    socket: Path | None = None
    token: str = field(default="", repr=False)
    #: a POST there ends it
    ending: str = ""
    #: a GET there is answered with JSON, while it is well
    asked: str = ""
    #: what of that answer says when it was started (see `_start`); "": it is as old as its socket
    since: str = ""
    #: a GET there is refused until it can do its work; "": at once
    ready: str = ""

    async def look(self) -> Look:
        """Whether it is there, and since when."""
        try:
            answer = await self._ask("GET", self.asked)
            if self.ready and not await self._is_ready():
                return Silent(reason="is not ready")
            return Alive(started_at=self._age(answer))
        except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
            return Refused(reason=f"is not there: {error}")
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            return Silent(reason=f"does not answer: {error!r}")

    async def end(self) -> None:
        """Ask it to end; the answer need not come.

        Raises:
            ComponentFailedError: it refuses.
        """
        try:
            await self._ask("POST", self.ending)
        except aiohttp.ClientResponseError as error:
            raise ComponentFailedError(self.name, f"does not end: {error}") from error
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return  # ended before it could answer, or without a word

    async def post(self, path: str) -> str:
        """What it answers, empty when all is well.

        Raises:
            ComponentFailedError: it cannot be reached.
        """
        try:
            async with self._session() as session, session.post(self.url + path) as answer:
                text = await answer.text()
                return "" if answer.status == HTTPStatus.OK else text.strip()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ComponentFailedError(self.name, f"cannot be reached: {error!r}") from error

    async def _ask(self, method: str, path: str) -> Any:
        async with (
            self._session() as session,
            session.request(method, self.url + path, raise_for_status=True) as answer,
        ):
            return await answer.json(content_type=None)

    async def _is_ready(self) -> bool:
        async with self._session() as session, session.get(self.url + self.ready) as answer:
            return answer.status == HTTPStatus.OK

    def _age(self, answer: Any) -> float:
        return self.socket.stat().st_ctime if self.socket else _start(answer, self.since)

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connector = None if self.socket is None else aiohttp.UnixConnector(path=str(self.socket))
        return aiohttp.ClientSession(connector=connector, headers=headers, timeout=_TIMEOUT)


def own_address(towards: str) -> str:
    """Under which those on the same network as the host `towards` reach this container.

    Raises:
        OSError: there is no such host.
    """
    family, kind, _, _, address = socket.getaddrinfo(towards, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(address)  # sends nothing
        return str(probe.getsockname()[0])


def _start(answer: Any, since: str) -> float:
    """Of one process always the same: it is told by a clock that was read once.

    `started_at` is what our own say; `data.startTime` is in Prometheus's answer.
    """
    match since:
        case "never":
            return 0.0
        case "started_at":
            return float(answer["started_at"])
        case "startTime":
            return datetime.fromisoformat(answer["data"]["startTime"]).timestamp()
        case _:
            raise KeyError(since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Those that speak HTTP to us."""

    supervisor: HttpService
    loadgen: HttpService
    prometheus: HttpService
    #: nothing that is judged rests on them: their end is named, and is no fault
    beside: tuple[HttpService, ...] = ()


def services_at(places: ComposePlaces) -> Services:
    """As `docker-compose.yml` has them."""
    return Services(
        supervisor=HttpService(
            name="supervisor",
            url="http://supervisor",
            socket=places.supervisor_socket,
            asked="/status",
            ending="/stop",
        ),
        loadgen=HttpService(
            name="loadgen",
            url=places.loadgen_url,
            token=places.loadgen_token.read_text().strip(),
            asked="/ratchet/status",
            since="started_at",
            # Without its workers it offers nothing.
            ready="/ready",
            ending="/ratchet/end",
        ),
        prometheus=HttpService(
            name="prometheus",
            url=places.prometheus_url,
            asked="/api/v1/status/runtimeinfo",
            since="startTime",
            ending="/-/quit",
        ),
        beside=(
            HttpService(name="edge", url=places.edge_url, asked="/status", since="started_at"),
            HttpService(
                name="shell", url="http://shell", socket=places.shell_socket, asked="/status"
            ),
            # It does not say since when it runs: it is missed when it is away for two looks.
            HttpService(name="grafana", url=places.grafana_url, asked="/api/health", since="never"),
        ),
    )
