"""The harness's own probes: once a second, while a campaign runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

import asyncpg
import structlog
from prometheus_client import CollectorRegistry

from campaign.adapters.database.checker import Ledger, LedgerChecker, Queries
from campaign.adapters.database.exposition import Findings
from campaign.adapters.database.ledger_file import LedgerFile
from campaign.adapters.database.server import ServerProbe
from campaign.ports import PortError

log = structlog.get_logger()

_PERIOD_S = 1.0
_FAILURES = (OSError, TimeoutError, PortError, asyncpg.PostgresError, asyncpg.InterfaceError)


class ProbedTarget(Protocol):
    """What must be known of the app (`chaos_profiles.Target`)."""

    @property
    def role(self) -> str: ...
    @property
    def database(self) -> str: ...
    @property
    def ledger(self) -> Queries: ...


class Probes:
    """Keeps the series `ratchet_database_…` and `ratchet_ledger_…` of a registry up to date.

    Within `async with`. The connections are opened on entry, before there is any load. A probe
    that fails leaves a gap in its series, which makes what rests on them UNKNOWN, and is logged
    once until it works again; the server may restart, or be another one, at any time.
    """

    def __init__(
        self,
        dsn: str,
        *,
        maintenance_dsn: str,
        target: ProbedTarget,
        ledger: Ledger,
        ledger_file: Path,
        registry: CollectorRegistry,
        seed: int = 1,
    ) -> None:
        """Two ways in of the superuser's: to the app's database, and to one the app cannot change.

        `seed` decides which old writes are looked at again.
        """
        self._registry = registry
        self._findings = Findings()
        self._server = ServerProbe(
            maintenance_dsn, app_role=target.role, app_database=target.database
        )
        self._checker = LedgerChecker(
            dsn, queries=target.ledger, ledger=ledger, file=LedgerFile(ledger_file), seed=seed
        )
        #: the checker has one connection
        self._checking = asyncio.Lock()
        self._failing: set[str] = set()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        await self._look()
        await self._check()
        self._registry.register(self._findings)
        self._tasks = (
            asyncio.create_task(_each_second(self._look), name="database-probe"),
            asyncio.create_task(_each_second(self._check), name="ledger-check"),
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._registry.unregister(self._findings)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()
        self._checker.close()

    async def catch_up(self) -> None:
        """Fetch what was acknowledged by now: with the load off, that is all there is."""
        await self._check()

    def write_off(self) -> None:
        """Acknowledged messages that are missing now are on record: they count no more."""
        self._checker.write_off()

    async def _look(self) -> None:
        try:
            self._findings.probed(await self._server.look())
        except _FAILURES as exc:
            self._findings.probed(None)
            self._failed("database_probe", exc)
        else:
            self._works("database_probe")

    async def _check(self) -> None:
        try:
            async with self._checking:
                self._findings.checked(await self._checker.check())
        except _FAILURES as exc:
            self._findings.checked(None)
            self._failed("ledger_check", exc)
        else:
            self._works("ledger_check")

    def _failed(self, probe: str, exc: Exception) -> None:
        if probe not in self._failing:
            self._failing.add(probe)
            log.warning("a probe fails", action=f"{probe}_failed", reason=repr(exc))

    def _works(self, probe: str) -> None:
        if probe in self._failing:
            self._failing.remove(probe)
            log.info("a probe works again", action=f"{probe}_recovered")


async def _each_second(look: Callable[[], Awaitable[None]]) -> None:
    """Call `look` at a steady pace; one that takes too long delays the next, and none piles up.

    A look that breaks in a way nobody thought of, its log included, does not end the looking: a
    probe that is gone for good would be taken for an app that swallows its answers.
    """
    clock = asyncio.get_running_loop().time
    due = clock() + _PERIOD_S
    while True:
        await asyncio.sleep(max(0.0, due - clock()))
        with suppress(Exception):
            await look()
        due = max(due + _PERIOD_S, clock())
