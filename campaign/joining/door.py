"""The HTTP API of the process that plays, as somebody outside asks it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from campaign.errors import AccessError, BusyError, HarnessError, NotFoundError, UsageError

#: longer than any tool is allowed to take
CALL_S = 3600.0
_ASK_S = 30.0
_UNAUTHORIZED, _NOT_FOUND, _CONFLICT, _SERVER_ERROR = 401, 404, 409, 500
#: of one event of a trace
_MAX_LINE_BYTES = 64 << 20


class GoneError(HarnessError):
    """Nobody answers at the address: the campaign's process has ended, or never was there."""


class UnansweredError(HarnessError):
    """Somebody is there, and did not answer in time or broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Every call raises UsageError (or a kind of it) when refused; else see the errors above."""

    url: str

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = _ASK_S,
    ) -> dict[str, Any]:
        """The JSON object that it answers; cancelling this ends the connection."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with (
                aiohttp.ClientSession(self.url, headers=headers, timeout=timeout) as session,
                session.request(method, path, json=body) as answer,
            ):
                told: dict[str, Any] = dict(await answer.json())
        except aiohttp.ClientConnectorError as error:
            raise self._gone(error) from error
        except (aiohttp.ClientError, TimeoutError, TypeError, ValueError) as error:
            raise UnansweredError(
                f"the campaign at {self.url} does not answer: {error!r}"
            ) from error
        if answer.ok:
            return told
        raise _refusal(answer.status, told, str(answer.reason))

    async def follow(self, path: str, *, token: str) -> AsyncGenerator[str, None]:
        """The data of server-sent events, until the other side ends."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_ASK_S)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with (
                aiohttp.ClientSession(
                    self.url, headers=headers, timeout=timeout, read_bufsize=_MAX_LINE_BYTES
                ) as session,
                session.get(path) as answer,
            ):
                if not answer.ok:
                    raise _refusal(answer.status, dict(await answer.json()), str(answer.reason))
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        yield line[6:].decode(errors="replace").rstrip("\n")
        except aiohttp.ClientConnectorError as error:
            raise self._gone(error) from error
        except aiohttp.ClientError as error:
            raise UnansweredError(f"the campaign at {self.url} broke off: {error!r}") from error

    def _gone(self, error: Exception) -> GoneError:
        return GoneError(
            f"no campaign answers at {self.url}: {error!r}",
            hint="is it still played? a resumed campaign has another address",
        )


def _refusal(status: int, told: Mapping[str, Any], reason: str) -> UsageError | HarnessError:
    message, hint = str(told.get("error", reason)), str(told.get("hint", ""))
    if status >= _SERVER_ERROR:
        return HarnessError(message, hint=hint)
    kinds = {_UNAUTHORIZED: AccessError, _NOT_FOUND: NotFoundError, _CONFLICT: BusyError}
    return kinds.get(status, UsageError)(message, hint=hint)
