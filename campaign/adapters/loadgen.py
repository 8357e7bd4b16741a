"""The load generator's control routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from typing import Any, Literal, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from campaign.model import LoadVector
from campaign.ports import ComponentChange, PortError

_TIMEOUT = aiohttp.ClientTimeout(total=5)
#: pauses before another try, seconds; every call may be made twice
_PAUSES_S = (0.2, 0.5)
_COMPONENT = "loadgen"
#: how often is asked what became of workers, seconds
_LOOK_S = 0.5
_OK, _CONFLICT = 200, 409


class AcknowledgedWrite(BaseModel):
    """A message that the app said it had stored."""

    model_config = ConfigDict(frozen=True)

    #: counts the writes of one load generator process, from 1
    seq: int
    user_id: int
    conversation_id: int
    message_id: int
    #: tokens by which it raised its user's usage
    tokens: int
    kind: Literal["message", "stream"]
    #: epoch seconds at which it was sent, and at which the whole answer was there
    asked_at: float
    acked_at: float


class LedgerPage(BaseModel):
    """Acknowledged writes, oldest first."""

    model_config = ConfigDict(frozen=True)

    entries: tuple[AcknowledgedWrite, ...]
    #: what to ask `after` next time
    last: int
    #: entries that nobody fetched in time, since the generator was started
    dropped: int = 0


class WorkerStatus(BaseModel):
    """One of several load generators."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: Literal["playing", "standby"]
    users: int
    #: worst in the last second; share of one core
    lag_s: float
    cpu_ratio: float
    #: since it was last heard
    silent_s: float
    #: host:port of its /metrics
    metrics: str


class GeneratorStatus(BaseModel):
    """What the generator offers now."""

    model_config = ConfigDict(frozen=True)

    load_id: str | None
    dimensions: tuple[Mapping[str, Any], ...]
    users: int
    #: epoch seconds, the same for as long as the process lasts
    started_at: float
    pid: int
    #: those among whom the load is divided; None: it is one process
    expected_workers: int | None = None
    workers: tuple[WorkerStatus, ...] = ()


class WorkerChange(BaseModel):
    """A worker that was lost, or that joined after the first load."""

    model_config = ConfigDict(frozen=True)

    #: counts the changes of one master process, from 1
    seq: int
    worker: str
    kind: Literal["lost", "joined"]
    #: names the worker and says what became of its users
    reason: str
    #: of a loss: others play its users, and every write it acknowledged is known
    covered: bool


class _Changes(BaseModel):
    master: str
    changes: tuple[WorkerChange, ...]


class _Refusal(BaseModel):
    errors: tuple[str, ...]


class LedgerRestartedError(PortError):
    """The generator was restarted: its ledger begins again, ask after 0."""


AnswerT = TypeVar("AnswerT", bound=BaseModel)


class LoadgenClient:
    """Implements `campaign.ports.Load`; used within `async with`."""

    def __init__(self, url: str, *, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._session.close()

    async def apply(self, load: LoadVector, *, load_id: str) -> None:
        """Replace the whole offered load.

        Raises:
            PortError: the generator cannot be reached or refuses.
        """
        document = {"id": load_id, "dimensions": [asdict(dimension) for dimension in load]}
        status = await self._ask(GeneratorStatus, "PUT", "load", json=document)
        if status.load_id != load_id:
            raise PortError(_COMPONENT, f"offers {status.load_id!r} after it was told {load_id!r}")

    async def status(self) -> GeneratorStatus:
        """What is offered now.

        Raises:
            PortError: the generator cannot be reached.
        """
        return await self._ask(GeneratorStatus, "GET", "status")

    async def ledger(self, *, after: int, limit: int = 1000) -> LedgerPage:
        """Acknowledged writes after number `after`, which lets the generator forget earlier ones.

        Raises:
            LedgerRestartedError: this generator has never counted as far.
            PortError: it cannot be reached.
        """
        return await self._ask(LedgerPage, "GET", "ledger", params={"after": after, "limit": limit})

    async def metrics_urls(self) -> tuple[str, ...]:
        """Where what clients saw can be scraped: of the one process, or of each worker.

        Raises:
            PortError: the generator cannot be reached.
        """
        status = await self.status()
        if status.expected_workers is None:
            return (f"{self._url}/metrics",)
        return tuple(f"http://{worker.metrics}/metrics" for worker in status.workers)

    async def worker_changes(self) -> AsyncGenerator[ComponentChange, None]:
        """Workers that are lost, for as long as it is listened to; of a single process, none.

        A loss that is covered is told as such. After one that was not, the generator is up again
        when somebody joins. That the master itself ends is not told here.
        """
        master, after, is_up = "", 0, True
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                if not master and (await self.status()).expected_workers is None:
                    return
                found = await self._ask(_Changes, "GET", "changes", params={"after": after})
            except PortError:
                continue
            if found.master != master and after:
                master, after = found.master, 0
                continue
            master = found.master
            for change in found.changes:
                after = change.seq
                if change.kind == "lost":
                    is_up = is_up and change.covered
                    yield _loss(change)
                elif not is_up:
                    is_up = True
                    yield ComponentChange(component=_COMPONENT, up=True)

    async def _ask(
        self,
        model: type[AnswerT],
        method: str,
        route: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, int] | None = None,
    ) -> AnswerT:
        for pause_s in (*_PAUSES_S, None):
            try:
                async with self._session.request(
                    method,
                    f"{self._url}/ratchet/{route}",
                    json=json,
                    params=params,
                ) as reply:
                    return _read(model, await reply.read(), status=reply.status)
            except (aiohttp.ClientConnectionError, TimeoutError) as exc:
                if pause_s is None:
                    raise PortError(_COMPONENT, f"cannot be reached: {exc!r}") from exc
                await asyncio.sleep(pause_s)
            except aiohttp.ClientError as exc:
                raise PortError(_COMPONENT, f"does not speak HTTP: {exc!r}") from exc
        raise AssertionError("the last try returns or raises")


def _loss(change: WorkerChange) -> ComponentChange:
    return ComponentChange(
        component=_COMPONENT, up=False, reason=change.reason, covered=change.covered
    )


def _read(model: type[AnswerT], body: bytes, *, status: int) -> AnswerT:
    """The answer as `model`, or what the generator has against the request."""
    try:
        if status == _OK:
            return model.model_validate_json(body)
        errors = "; ".join(_Refusal.model_validate_json(body).errors)
    except ValidationError as exc:
        raise PortError(_COMPONENT, f"answered {status} with {body[:200]!r}") from exc
    if status == _CONFLICT:
        raise LedgerRestartedError(_COMPONENT, errors)
    raise PortError(_COMPONENT, f"refused with {status}: {errors}")
