"""The local stack: Postgres, Prometheus, the supervisor and Locust as children of this process."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from campaign.stack.components import (
    WORKER_PREFIX,
    Loadgen,
    LoadgenSettings,
    Supervisor,
    SupervisorSettings,
)
from campaign.stack.copies import StoredSnapshot, clone, restore, snapshot
from campaign.stack.errors import ComponentFailedError, StackError
from campaign.stack.interface import ComponentDown, ComponentUp, StackAddresses
from campaign.stack.keeper import Keeper
from campaign.stack.log_bound import LogBound, cut
from campaign.stack.network import LOOPBACK, Ports, is_port_clash
from campaign.stack.places import MIN_FREE_BYTES, cache_place, require_free_space, used_bytes
from campaign.stack.prometheus import PrometheusServer, ScrapeJob
from campaign.stack.service import Service
from campaign.stack.site import Site, settle
from campaign.stack.template import TemplateStore
from campaign.stack.together import together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from campaign.stack.interface import ComponentEvent, ComponentName, DatabaseSource
    from campaign.stack.service import ServiceSpec

#: how often a start is tried again when another process was quicker to take a free port
_ATTEMPTS = 3
#: the load first, then what serves it
_STOP_ORDER: tuple[tuple[ComponentName, ...], ...] = (
    ("loadgen",),
    ("supervisor",),
    ("prometheus", "postgres"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStackConfig:
    """All that a local stack depends on."""

    run_dir: Path
    #: where a run that has no database yet takes it from
    database: DatabaseSource
    loadgen: LoadgenSettings
    supervisor: SupervisorSettings
    #: recording and alert rules for Prometheus
    rule_files: tuple[Path, ...] = ()
    #: the port on which this very process serves its own /metrics, if it does
    daemon_port: int | None = None
    ports: Ports = field(default_factory=Ports)
    cache_dir: Path = field(default_factory=cache_place)

    @property
    def all_ports(self) -> Ports:
        """`ports`, and those of the load's master and workers."""
        division = self.loadgen.division
        return replace(
            self.ports,
            load_workers=division.workers,
            has_load_master=division.is_divided,
            load_master=division.port,
        )


class LocalStack:
    """Child processes on this machine; see `ProcessStack` for what it offers.

    Start it from the main thread: the kernel ends the children when the thread that started them
    ends, even if that was by SIGKILL.
    """

    def __init__(self, config: LocalStackConfig) -> None:
        self._config = config
        self._services: dict[str, Service] = {}
        self._keeper = Keeper()
        self._site: Site | None = None
        self._addresses: StackAddresses | None = None
        self._log_bound: LogBound | None = None

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
        """See `ProcessStack.__aenter__`."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._start()
            except ComponentFailedError as exc:
                lost_race = self._config.all_ports.any_free and is_port_clash(exc.log_tail)
                if not lost_race or attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def stop(self) -> None:
        """Leave no process and no socket behind; twice is fine."""
        if self._log_bound is not None:
            await self._log_bound.close()
        await self._keeper.close()
        for names in _STOP_ORDER:
            running = [
                self._services.pop(name) for name in tuple(self._services) if _part(name) in names
            ]
            await asyncio.gather(*(service.stop() for service in running))
        if self._site is not None:
            await asyncio.to_thread(shutil.rmtree, self._site.socket_dir, ignore_errors=True)
            self._site.record.close()
        self._site = self._addresses = None

    def events(self) -> AsyncIterator[ComponentEvent]:
        return self._keeper.events()

    async def restart(self, component: ComponentName) -> None:
        service = self._services[component]
        await self._keeper.release(component)
        self._keeper.tell(ComponentDown(name=component, reason="a restart was asked for"))
        await service.stop()
        await service.start()
        self._keeper.tell(ComponentUp(name=component))
        self._keeper.watch(service)

    async def reset_database(self, database: DatabaseSource) -> None:
        if self._site is None:
            raise StackError("the stack does not run")
        await self._keeper.release("postgres")
        await self._services["postgres"].stop()
        await self._fill_cluster(self._site, database)
        await self._services["postgres"].start()
        self._keeper.watch(self._services["postgres"])

    @asynccontextmanager
    async def copy_of_database(self) -> AsyncIterator[Path]:
        """See `ProcessStack`."""
        if self._site is None:
            raise StackError("the stack does not run")
        site, copy = self._site, self._site.data_dir / "snapshot"
        # The copy, and what may be kept of it: a full disk would end the database itself.
        needed = 2 * await asyncio.to_thread(used_bytes, site.cluster.pgdata)
        require_free_space(copy, min_bytes=MIN_FREE_BYTES + needed)
        try:
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)
            await snapshot(site.cluster, socket_dir=site.database_sockets, to=copy)
            yield copy
        finally:
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)

    async def reload_rules(self) -> None:
        """Have Prometheus take up the rule files as they are now.

        Raises:
            BadRulesError: with promtool's words; the old rules stay in force.
        """
        if self._site is None:
            raise StackError("the stack does not run")
        await self._prometheus(self._site).configure()
        pid = self._services["prometheus"].pid
        if pid is not None:  # else it is being restarted, and reads them anyway
            os.kill(pid, signal.SIGHUP)

    async def _start(self) -> None:
        self._keeper = Keeper()
        try:
            ports = self._config.all_ports
            self._site = await asyncio.to_thread(settle, self._config.run_dir, ports)
            self._addresses = await self._start_all(self._site)
        except BaseException:
            await asyncio.shield(self.stop())
            raise
        for service in self._services.values():
            self._keeper.watch(service)

    async def _start_all(self, site: Site) -> StackAddresses:
        prometheus = self._prometheus(site)
        loadgen = self._loadgen(site)
        supervisor = self._supervisor(site)
        started_at = time.time()
        await prometheus.configure()
        await together(
            # First, because it takes five seconds until it looks at its targets.
            self._run(site, prometheus.service(log_file=site.log("prometheus"))),
            self._start_database(site),
            self._run(site, supervisor.service(log_file=site.log("supervisor"))),
            self._run(site, loadgen.service(log_file=site.log("loadgen"))),
            *(self._run(site, worker) for worker in loadgen.workers(logs_dir=site.logs_dir)),
        )
        samples_of = ["prometheus", *["loadgen"] * max(1, self._config.loadgen.division.expected)]
        await prometheus.wait_for_samples(samples_of, since=started_at)
        return StackAddresses(
            database=site.cluster.addresses(site.database_sockets),
            prometheus_url=prometheus.url,
            loadgen_url=loadgen.url,
            loadgen_token=loadgen.token,
            app_url=f"http://{LOOPBACK}:{site.ports.app}",
            app_socket=site.app_socket,
            supervisor_socket=site.supervisor_socket,
            logs_dir=site.logs_dir,
        )

    async def _run(self, site: Site, spec: ServiceSpec) -> None:
        service = self._services[spec.name] = Service(spec, site.record)
        await service.start()

    async def _start_database(self, site: Site) -> None:
        if not site.cluster.exists:
            await self._fill_cluster(site, self._config.database)
        sockets, log_file = site.database_sockets, site.log("postgres")
        self._log_bound = LogBound(path=log_file, put_aside=lambda: cut(log_file))
        self._log_bound.begin()
        await self._run(site, site.cluster.service(socket_dir=sockets, log_file=log_file))

    async def _fill_cluster(self, site: Site, database: DatabaseSource) -> None:
        if isinstance(database, Path):
            await clone(site.cluster.at(database), site.cluster.pgdata)
            return
        if isinstance(database, StoredSnapshot):
            await restore(database, site.cluster)
            return
        store = TemplateStore(
            cache_dir=self._config.cache_dir,
            programs=site.postgres,
            identity=site.postgres_user,
        )
        await store.fresh(database, site.cluster.pgdata)

    def _prometheus(self, site: Site) -> PrometheusServer:
        jobs = [
            ScrapeJob(name="prometheus", port=site.ports.prometheus),
            *self._load_jobs(site),
            ScrapeJob(name="app", port=site.ports.app, is_judged=True),
        ]
        if self._config.daemon_port is not None:
            jobs.append(ScrapeJob(name="ratchet", port=self._config.daemon_port))
        return PrometheusServer(
            programs=site.prometheus,
            folder=site.data_dir / "prometheus",
            port=site.ports.prometheus,
            identity=site.prometheus_user,
            jobs=tuple(jobs),
            rule_files=self._config.rule_files,
        )

    def _load_jobs(self, site: Site) -> tuple[ScrapeJob, ...]:
        port = site.ports.loadgen
        if not self._config.loadgen.division.is_divided:
            return (ScrapeJob(name="loadgen", port=port),)
        return (
            ScrapeJob(name="loadgen", port=port, discovery="/targets"),
            ScrapeJob(name="loadgen-master", port=port),
        )

    def _loadgen(self, site: Site) -> Loadgen:
        return Loadgen(
            settings=self._config.loadgen,
            folder=site.data_dir / "loadgen",
            app_socket=site.app_socket,
            port=site.ports.loadgen,
            token=self._config.loadgen.division.token or secrets.token_urlsafe(24),
            master_port=site.ports.load_master,
            worker_ports=site.ports.load_workers,
        )

    def _supervisor(self, site: Site) -> Supervisor:
        return Supervisor(
            settings=self._config.supervisor,
            folder=site.data_dir / "supervisor",
            app_socket=site.app_socket,
            control_socket=site.supervisor_socket,
            database_sockets=site.database_sockets,
            relay_port=site.ports.app,
            app_log=site.logs_dir / "app.log",
            state_dir=self._config.run_dir.absolute() / "supervisor",
        )


def _part(service: str) -> str:
    """The component that a service belongs to: a worker of the load is part of the generator."""
    return "loadgen" if service.startswith(WORKER_PREFIX) else service
