"""The load generator's control routes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from campaign.model import LoadVector
from campaign.ports import PortError

_TIMEOUT = aiohttp.ClientTimeout(total=5)
#: pauses before another try, seconds; every call may be made twice
_PAUSES_S = (0.2, 0.5)
_COMPONENT = "loadgen"
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


class GeneratorStatus(BaseModel):
    """What the generator offers now."""

    model_config = ConfigDict(frozen=True)

    load_id: str | None
    dimensions: tuple[Mapping[str, Any], ...]
    users: int
    uptime_s: float
    pid: int


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
