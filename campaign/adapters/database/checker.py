"""Compares what clients were told with what the app's tables hold, once a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from campaign.adapters.database.connections import connect_harness, connect_superuser
from campaign.adapters.database.exposition import LedgerFindings
from campaign.adapters.database.ledger import LedgerBook, Message, Write
from campaign.adapters.database.ledger_file import LedgerFile
from campaign.ports import Clock, PortError

_STATEMENT_TIMEOUT = "900ms"
_ANSWER_TIMEOUT_S = 0.95
_PAGE = 1000
_PAGES = 5
_LOOKED_UP, _SAMPLED = 2000, 100

_FIND_INCARNATION = "SELECT id::text, extract(epoch FROM since)::float8 FROM ratchet.incarnation"
_OPENING_USAGE = "SELECT user_id, tokens FROM ratchet.opening_usage"
_SET_OPENING_USAGE = """
INSERT INTO ratchet.opening_usage (user_id, tokens) SELECT * FROM unnest($1::bigint[], $2::bigint[])
ON CONFLICT DO NOTHING
"""


class Page(Protocol):
    """Acknowledged writes, oldest first."""

    @property
    def entries(self) -> Sequence[Write]: ...
    @property
    def last(self) -> int: ...


class Ledger(Protocol):
    """The load generator's memory of acknowledged writes."""

    async def ledger(self, *, after: int, limit: int) -> Page:
        """What comes after number `after`.

        Raises:
            PortError: the generator cannot be reached, or was restarted.
        """


class Queries(Protocol):
    """The target's SQL (`chaos_profiles.LedgerQueries`)."""

    @property
    def messages(self) -> str: ...
    @property
    def usage(self) -> str: ...
