"""Asks the process that an address leads to, over its HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from campaign.addresses import Address, daemon_file, read_address
from campaign.errors import HarnessError, UsageError

#: a campaign is started when its journal is open, which takes a moment
_TIMEOUT_S = 60.0
#: a busy one must not be taken for one that is gone: another would play beside it
_ALIVE_S = 10.0
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiClient:
    """Every call raises UsageError when it is refused, HarnessError when nobody answers."""

    address: Address

    async def is_alive(self) -> bool:
        """Whether it is still that very process; a pid and a port may have a new owner."""
        try:
            told = await self._ask("GET", "/healthz", timeout_s=_ALIVE_S)
        except (HarnessError, UsageError):
            return False
        return told.get("pid") == self.address.pid

    async def start(self, order: Mapping[str, Any]) -> str:
        """The name of the campaign, whose journal is open now."""
        answer = await self._ask("POST", "/api/campaigns", body=order)
        return str(answer["campaign"])

    async def act(self, campaign: str, action: str) -> None:
        """One of resume, stop, pause, continue."""
        await self._ask("POST", f"/api/campaigns/{campaign}/{action}")

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.address.token}"}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with (
                aiohttp.ClientSession(
                    self.address.url, headers=headers, timeout=timeout
                ) as session,
                session.request(method, path, json=body) as answer,
            ):
                told: dict[str, Any] = dict(await answer.json())
        except (aiohttp.ClientError, TimeoutError, TypeError, ValueError) as error:
            raise HarnessError(
                f"ratchet (pid {self.address.pid}) does not answer at {self.address.url}: {error!r}"
            ) from error
        if answer.ok:
            return told
        refused = HarnessError if answer.status >= _SERVER_ERROR else UsageError
        raise refused(str(told.get("error", answer.reason)), hint=str(told.get("hint", "")))


async def find_daemon(runs: Path) -> ApiClient | None:
    """The daemon that serves the folder; None when there is none, or only what it left behind."""
    address = read_address(daemon_file(runs))
    if address is None:
        return None
    client = ApiClient(address=address)
    return client if await client.is_alive() else None
