"""What an assertion may use: the live app from outside, and what the harness itself knows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from campaign.gates.answer import Answer
from campaign.gates.client import DEFAULT_TIMEOUT_S, AppClient, StreamAnswer


class AcknowledgedWrite(Protocol):
    """A message that the app told a client of the load generator it had stored."""

    @property
    def message_id(self) -> int: ...
    @property
    def conversation_id(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def tokens(self) -> int: ...
    @property
    def acked_at(self) -> float: ...


class AppDatabase(Protocol):
    """The app's database with the harness's own role; SQL names tables with their schema."""

    async def fetch(self, query: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """Rows of a query that may only read."""

    async def plant(self, query: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """Rows of a statement that writes data of the gate's own; one at a time."""

    async def acknowledged(self) -> Sequence[AcknowledgedWrite]:
        """The writes to this database that were acknowledged so far, without those written off."""

    async def quiet_s(self) -> float:
        """Seconds since the harness last loaded data into it; infinite when it never did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveApp:
    """The app as one assertion of one audit sees it."""

    client: AppClient
    database: AppDatabase
    #: the OpenAPI document of the campaign's first revision
    base_document: Mapping[str, Any]
    #: what is costly to make from the document may be kept here
    cache_dir: Path
    #: the campaign's; what an assertion must know in later trials may be kept here
    memory: Path
    trial: int
    #: a word that is this audit's own
    tag: str
    #: for content that was never there before
    draw: random.Random

    async def request(
        self,
        method: str,
        path: str,
        *,
        user: int | None = None,
        json: object = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Answer:
        """See `AppClient.request`."""
        return await self.client.request(method, path, user=user, json=json, timeout_s=timeout_s)

    async def stream(
        self, path: str, *, user: int, json: object, leave_after: int | None = None
    ) -> StreamAnswer:
        """See `AppClient.stream`."""
        return await self.client.stream(path, user=user, json=json, leave_after=leave_after)

    async def fetch(self, query: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """Rows, read over the harness's own connection."""
        return await self.database.fetch(query, *arguments)
