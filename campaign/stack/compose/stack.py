"""The compose stack: the parts are services that somebody else starts; we wait, ask and watch.

Nothing here holds the docker socket. A part is restarted by asking it to end: its container's
restart policy brings it back. What it is told lies in files on volumes that it shares with us.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from campaign.stack.compose.asking import HttpService, Services, own_address, services_at
from campaign.stack.compose.database import ServedDatabase
from campaign.stack.compose.layout import alone, lay_out, publish
from campaign.stack.compose.parts import loadgen_config, supervisor_config, write_json
from campaign.stack.compose.places import ComposePlaces
from campaign.stack.compose.templates import ComposeTemplates
from campaign.stack.compose.watch import Alive, Watch
from campaign.stack.copies import StoredSnapshot
from campaign.stack.errors import (
    BadRulesError,
    ComponentFailedError,
    StackError,
)
from campaign.stack.interface import ComponentDown, ComponentUp, StackAddresses
from campaign.stack.log_bound import LogBound
from campaign.stack.prometheus import wait_for_samples
from campaign.stack.record import RECORD_NAME
from campaign.stack.together import together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from campaign.stack.interface import ComponentEvent, ComponentName, DatabaseSource
    from campaign.stack.local import LocalStackConfig

#: the slowest is a load generator on a busy machine
_READY_TIMEOUT_S = 90.0
_POLL_S = 0.2
_RULES = "campaign.rules.yaml"
_TARGETS = "ratchet.json"
#: Prometheus looks for new targets every five seconds, and scrapes each second
_SAMPLES_TIMEOUT_S = 60.0

log = structlog.get_logger(__name__)


class ComposeStack:
    """The services of `docker-compose.yml`; see `ProcessStack` for what it offers."""

    def __init__(
        self,
        config: LocalStackConfig,
        *,
        places: ComposePlaces | None = None,
        database: ServedDatabase | None = None,
        services: Services | None = None,
    ) -> None:
        """Raises StackError for more than one file of rules: there is one place for them."""
        if len(config.rule_files) > 1:
            raise StackError("the compose stack takes one file of rules")
        self._config = config
        self._places = places or ComposePlaces()
        self._database = database or ServedDatabase(places=self._places)
        self._services = services or services_at(self._places)
        self._templates = ComposeTemplates(database=self._database, cache=self._places.cache)
        self._open = AsyncExitStack()
        self._addresses: StackAddresses | None = None
        self._watch = self._watching()
        self._log_bound = LogBound(
            path=self._places.database_log, put_aside=self._database.put_log_aside
        )

    @property
    def addresses(self) -> StackAddresses:
        if self._addresses is None:
            raise StackError("the stack does not run")
        return self._addresses

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.shield(self.stop())

    async def start(self) -> None:
        """See `ProcessStack.__aenter__`: the services run already, and are told what to do."""
        self._watch = self._watching()
        try:
            self._open.enter_context(alone(self._places.stack_lock))
            self._addresses = await self._take_over()
        except BaseException:
            await asyncio.shield(self.stop())
            raise
        for name in _NAMES:
            self._watch.begin(name)
        self._watch.begin_beside()
        self._log_bound.begin()

    async def stop(self) -> None:
        """Nothing of this campaign goes on: no app runs, no load; the services stay up."""
        await self._log_bound.close()
        await self._watch.close()
        if self._addresses is not None:
            self._addresses = None
            asked = (self._services.supervisor, self._services.loadgen)
            ends = await asyncio.gather(
                *(service.end() for service in asked), return_exceptions=True
            )
            for service, end in zip(asked, ends, strict=True):
                if isinstance(end, BaseException):
                    log.warning("component_goes_on", component=service.name, reason=str(end))
        await self._open.aclose()

    def events(self) -> AsyncIterator[ComponentEvent]:
        return self._watch.events()

    async def restart(self, component: ComponentName) -> None:
        async with self._unwatched(component):
            self._watch.tell(ComponentDown(name=component, reason="a restart was asked for"))
            await self._renew(component)
            self._watch.tell(ComponentUp(name=component))

    async def reset_database(self, database: DatabaseSource) -> None:
        async with self._unwatched("postgres"):
            await self._fill(database)

    @asynccontextmanager
    async def copy_of_database(self) -> AsyncIterator[Path]:
        """See `ProcessStack`."""
        async with self._database.copy() as copy:
            yield copy

    async def reload_rules(self) -> None:
        """Have Prometheus take up the rule files as they are now.

        Raises:
            BadRulesError: in its own words; the old rules stay in force.
        """
        before = self._rules.read_text() if self._rules.exists() else None
        with ExitStack() as unless_accepted:
            unless_accepted.callback(self._put_back_rules, before)
            self._install_rules()
            problem = await self._services.prometheus.post("/-/reload")
            if problem:
                raise BadRulesError(f"Prometheus does not accept the rules:\n  {problem}")
            unless_accepted.pop_all()

    # -- how ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _unwatched(self, component: ComponentName) -> AsyncIterator[None]:
        """Its end is meant. One that does not come back is watched again, and told of."""
        await self._watch.release(component)
        try:
            yield
        except StackError:
            self._watch.begin(component)
            raise
        self._watch.begin(component)

    async def _take_over(self) -> StackAddresses:
        lay_out(self._config.run_dir, self._places)
        began = time.time()
        self._tell_services()
        # Another campaign's are of no use to this one, and could keep Prometheus from starting.
        self._rules.unlink(missing_ok=True)
        await together(self._renew("supervisor"), self._renew("loadgen"), self._prepare_database())
        await self._wait_for("prometheus")
        self._tell_prometheus()
        await self.reload_rules()
        jobs = ["prometheus", *["loadgen"] * self._places.load_workers]
        await wait_for_samples(
            self._places.prometheus_url, jobs, since=began, timeout_s=_SAMPLES_TIMEOUT_S
        )
        return StackAddresses(
            database=self._database.addresses,
            prometheus_url=self._places.prometheus_url,
            loadgen_url=self._places.loadgen_url,
            loadgen_token=self._services.loadgen.token,
            app_url=self._places.app_url,
            app_socket=self._places.app_socket,
            supervisor_socket=self._places.supervisor_socket,
            logs_dir=self._config.run_dir.absolute() / "logs",
        )

    def _tell_services(self) -> None:
        config, places, run = self._config, self._places, self._config.run_dir.name
        supervisor = replace(config.supervisor, environments_dir=places.environments)
        write_json(places.supervisor_config, supervisor_config(supervisor, places, run=run))
        write_json(
            places.loadgen_config,
            loadgen_config(config.loadgen, places, token=self._services.loadgen.token),
        )

    def _tell_prometheus(self) -> None:
        """Where we are as it sees us; while it is not there, it has no name."""
        targets, port = [], self._config.daemon_port
        if port is not None:
            try:
                host = own_address(_host(self._places.prometheus_url))
            except OSError as error:
                raise ComponentFailedError("prometheus", f"has no address: {error}") from error
            targets.append({"targets": [f"{host}:{port}"]})
        write_json(self._places.generated / _TARGETS, targets)

    def _install_rules(self) -> None:
        """What is written here is read by Prometheus at any moment."""
        for rules in self._config.rule_files:
            publish(self._rules, rules.read_text())

    def _put_back_rules(self, before: str | None) -> None:
        """It would not start again with rules that it refuses, whoever plays by then."""
        if before is None:
            self._rules.unlink(missing_ok=True)
        else:
            publish(self._rules, before)

    @property
    def _rules(self) -> Path:
        return self._places.generated / _RULES

    async def _prepare_database(self) -> None:
        await self._database.wait_until_ready(timeout_s=_READY_TIMEOUT_S)
        # Of a campaign that was killed: it would replace the database in the middle of this one.
        self._database.withdraw()
        run, is_whole = self._config.run_dir.name, self._record.exists()
        is_served = await self._database.owner() == run
        if not is_whole:
            await self._fill(self._config.database)
        elif not is_served and await self._database.keeps(run):
            await self._database.serve(run, "kept")
        elif not is_served:
            raise StackError(
                f"the database of {run} is gone: other campaigns were played since",
                hint="replay one of its trials from its snapshot: ratchet replay",
            )

    async def _fill(self, database: DatabaseSource) -> None:
        """Without the record, what is served may be half of it: a kill falls anywhere."""
        self._record.unlink(missing_ok=True)
        run = self._config.run_dir.name
        match database:
            case Path():
                raise StackError(f"{database}: a folder cannot be taken for a database here")
            case StoredSnapshot():
                await self._database.install(run, database.store, database.name)
            case _:
                await self._templates.install(run, database)
        self._record.write_text(json.dumps({"stack": "compose"}) + "\n")

    @property
    def _record(self) -> Path:
        """There when the campaign's database is whole; see `campaign.runs.RunFolder`."""
        return self._config.run_dir / RECORD_NAME

    async def _renew(self, name: ComponentName) -> None:
        """End it and wait for the one that comes after it."""
        if name == "postgres":
            await self._database.end()
            return
        before = await self._wait_for(name)
        await self._service(name).end()
        await self._wait_for(name, other_than=before)

    async def _wait_for(self, name: ComponentName, *, other_than: float | None = None) -> float:
        service, look = self._service(name), None
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                while True:
                    look = await service.look()
                    if isinstance(look, Alive) and look.started_at != other_than:
                        return look.started_at
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            problem = "did not end when it was told to" if isinstance(look, Alive) else ""
            reason = problem or getattr(look, "reason", "does not answer")
            raise ComponentFailedError(name, f"{reason} ({_READY_TIMEOUT_S:g} s)") from error

    def _service(self, name: ComponentName) -> HttpService:
        service: HttpService = getattr(self._services, name)
        return service

    def _watching(self) -> Watch:
        services = self._services
        return Watch(
            {
                "postgres": self._database.look,
                "supervisor": services.supervisor.look,
                "loadgen": services.loadgen.look,
                "prometheus": services.prometheus.look,
            },
            beside={service.name: service.look for service in services.beside},
        )


_NAMES: tuple[ComponentName, ...] = ("postgres", "supervisor", "loadgen", "prometheus")


def _host(url: str) -> str:
    return url.split("://", 1)[1].rsplit(":", 1)[0]
