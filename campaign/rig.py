"""One campaign's stack on this machine: started, deployed, calibrated, watched and stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from campaign.adapters.calibration import calibrate
from campaign.adapters.database import Probes, TargetDatabase
from campaign.adapters.database.audits import AuditDatabase
from campaign.adapters.deployments import Deployments
from campaign.adapters.loadgen import LoadgenClient
from campaign.adapters.prometheus import PrometheusClient
from campaign.doctor import WHEELS_DIR
from campaign.gates import AppFailedError, GateRunner, prepare_gates
from campaign.identity import IdentityError
from campaign.merging import merged
from campaign.model import Calibration, Invariant, Plan, Snapshot, Timings, Webhook
from campaign.past import Past
from campaign.ports import ComponentChange, PortError, Ready
from campaign.rooms import errands_in, holding, workspace_of
from campaign.runs import RunFolder
from campaign.seeding import recipe
from campaign.snapshots import take
from campaign.stack import (
    WORKER_PREFIX,
    ComponentUp,
    DatabaseSource,
    LoadDivision,
    LoadgenSettings,
    LocalStackConfig,
    Ports,
    ProcessStack,
    StackError,
    SupervisorSettings,
    cache_place,
    lay_out,
    make_stack,
)
from campaign.supervisor.environments import EnvironmentRefusedError
from chaos_profiles import Catalogue, TooSlowError, calibrated, load_target_data, rules_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class RigOptions:
    """How campaigns are run on this machine."""

    #: False runs the app and the workspace's commands as plain children
    sandbox: bool = True
    #: where this process serves its own /metrics, for Prometheus to scrape
    daemon_port: int | None = None
    #: what a fresh trial (by its index) starts with: the app as delivered, with these applied
    starts: Mapping[int, Sequence[Path]] = field(default_factory=dict)
    #: the folder of the campaigns that others originate from; None: beside them
    campaigns: Path | None = None
    #: holds the key of the operator's provider; None: it is in the environment, if anywhere
    api_key_file: Path | None = None
    #: any operator may work without a sandbox
    allow_unsandboxed_operator: bool = False
    #: where notices go; None: where those of the campaign went before, if anywhere
    webhook: Webhook | None = None
    #: among which processes the load is divided
    load: LoadDivision = field(default_factory=LoadDivision)
    #: the app's port on the loopback; None: any that is free
    app_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The ways to a running stack's parts."""

    load: LoadgenClient
    metrics: PrometheusClient
    database: TargetDatabase
    probes: Probes
    deployments: Deployments
    gates: GateRunner


class Rig:
    """Implements `ports.Stack`; `lines` leads to the parts while they run."""

    def __init__(
        self,
        *,
        run: RunFolder,
        catalogue: Catalogue,
        options: RigOptions,
        registry: CollectorRegistry,
    ) -> None:
        self._run = run
        self._catalogue = catalogue
        self._options = options
        self._registry = registry
        self._stack: ProcessStack | None = None
        self._lines: Lines | None = None
        self._open = AsyncExitStack()
        self._running = asyncio.Event()
        self.workspace = workspace_of(run)
        self._has_work_tree = False
        #: what runs, for a supervisor that was restarted
        self._revision = ""

    @property
    def lines(self) -> Lines:
        """Raises PortError while nothing runs."""
        if self._lines is None:
            raise PortError("stack", "it does not run yet")
        return self._lines

    @property
    def stack(self) -> ProcessStack | None:
        return self._stack

    @property
    def revision(self) -> str:
        """What runs; empty before the first start."""
        return self._revision

    async def prepare(
        self,
        plan: Plan,
        *,
        trial: int,
        fresh: bool,
        revision: str | None,
        calibration: Calibration | None,
    ) -> Ready:
        """See `ports.Stack`."""
        try:
            lay_out(self._run.path)
            await self._take_work_tree()
            past = Past.of(plan.origin, run=self._run, root=self._options.campaigns)
            if past is not None:
                await past.take_over(self.workspace, fresh=fresh)
            first = await self.workspace.create(self._catalogue.target.app_dir)
            database = await self._database(first, past)
            has_run_before = self._run.stack_record.exists()
            if self._stack is None:
                await self._start(plan, database)
            start = first if past is None else past.origin.revision
            if fresh:
                if has_run_before:
                    await self._refresh(database)
                if past is not None:
                    await past.require_same(self.superuser_dsn)
                await self.workspace.reset_to(start)
            await self._serve(revision or await self._start_of(trial, start), first=first)
            recorded = calibration or (past and past.origin.calibration)
            measured = recorded or await self._calibrate()
            invariants = calibrated(plan.invariants, measured.healthy_p95_s)
            await self._judge_by(invariants, plan.timings)
        except (IdentityError, StackError) as error:
            raise PortError("stack", str(error)) from error
        except TooSlowError as error:
            raise PortError("calibration", str(error)) from error
        except EnvironmentRefusedError as error:
            raise PortError("app", f"its requirements cannot be installed: {error}") from error
        except AppFailedError as error:
            raise PortError("app", f"what the gates ask it by: {error}") from error
        return Ready(revision=self._revision, invariants=invariants, calibration=measured)

    async def changes(self) -> AsyncIterator[ComponentChange]:
        """See `ports.Stack`; a supervisor that was restarted is given its revision back first."""
        await self._running.wait()
        async for change in merged(self._changes_of_stack(), self.lines.load.worker_changes()):
            yield change

    async def _changes_of_stack(self) -> AsyncIterator[ComponentChange]:
        assert self._stack is not None  # noqa: S101 - it runs
        async for event in self._stack.events():
            if event.name.startswith(WORKER_PREFIX):
                # What that means for the load is its master's to say; see `worker_changes`.
                if not isinstance(event, ComponentUp):
                    yield ComponentChange(
                        component=event.name, up=False, reason=event.reason, covered=True
                    )
                continue
            if not isinstance(event, ComponentUp):
                yield ComponentChange(
                    component=event.name, up=False, reason=event.reason, covered=event.covered
                )
                continue
            if event.name == "supervisor":
                await self.run_revision(self._revision)
            yield ComponentChange(component=event.name, up=True)

    async def stop(self) -> None:
        """See `ports.Stack`."""
        self._lines = None
        await self._open.aclose()
        self._stack = None
        self._has_work_tree = False

    async def run_revision(self, revision: str) -> None:
        """Deploy `revision` although no operator asked: at a start, a restart, a fresh trial.

        Raises:
            PortError: it does not come up.
        """
        source = await self.export(revision)
        deployment = f"start-{time.time_ns()}"
        result = await self.lines.deployments.deploy(deployment, revision, source)
        if not result.ok:
            raise PortError("app", f"revision {revision[:12]} does not start: {result.reason}")
        self._revision = revision

    def now_runs(self, revision: str) -> None:
        """The operator deployed `revision`."""
        self._revision = revision

    async def export(self, revision: str) -> Path:
        """The revision's files, read-only, in a folder of their own."""
        exported = await self.workspace.export(revision, self._run.deployments / revision)
        # By the name that every container knows it by.
        return exported.resolve()

    async def take_snapshot(self, snapshot: str) -> Snapshot:
        """See `ports.Archive`."""
        if self._stack is None:
            raise PortError("stack", "it does not run yet")
        return await take(snapshot, run=self._run, stack=self._stack, ledger=self.lines.probes)

    @property
    def superuser_dsn(self) -> str:
        assert self._stack is not None  # noqa: S101 - asked for while it runs
        return self._stack.addresses.database.superuser_dsn

    # -- how ------------------------------------------------------------------------------------

    async def _take_work_tree(self) -> None:
        if not self._has_work_tree:
            await self._open.enter_async_context(holding(self._run, self.workspace))
            self._has_work_tree = True

    async def _database(self, first: str, past: Past | None) -> DatabaseSource:
        """Where a fresh trial's database comes from."""
        if past is not None and past.snapshot is not None:
            return past.snapshot
        return recipe(self._catalogue.target, source=await self.export(first), revision=first)

    async def _start(self, plan: Plan, database: DatabaseSource) -> None:
        rules = self._write_rules(calibrated(plan.invariants, 0.0), plan.timings)
        config = LocalStackConfig(
            run_dir=self._run.path,
            database=database,
            loadgen=LoadgenSettings(
                clients=self._catalogue.target.clients,
                seed=plan.seed,
                division=self._options.load,
            ),
            supervisor=SupervisorSettings(
                command=self._catalogue.target.command,
                wheels_dir=WHEELS_DIR,
                sandbox=self._options.sandbox,
            ),
            rule_files=(rules,),
            daemon_port=self._options.daemon_port,
            ports=Ports(app=self._options.app_port),
        )
        stack = await self._open.enter_async_context(make_stack(config))
        self._stack = stack
        where = stack.addresses
        data = load_target_data(self._catalogue.target.folder)
        load = await self._open.enter_async_context(
            LoadgenClient(where.loadgen_url, token=where.loadgen_token)
        )
        metrics = await self._open.enter_async_context(PrometheusClient(where.prometheus_url))
        target_database = await self._open.enter_async_context(
            TargetDatabase(
                where.database.superuser_dsn, data=data, usage=self._catalogue.target.ledger.usage
            )
        )
        audits = await self._open.enter_async_context(
            AuditDatabase(where.database.superuser_dsn, ledger_file=self._run.ledger)
        )
        probes = Probes(
            where.database.superuser_dsn,
            maintenance_dsn=where.database.maintenance_dsn,
            target=self._catalogue.target,
            ledger=load,
            ledger_file=self._run.ledger,
            registry=self._registry,
        )
        self._lines = Lines(
            load=load,
            metrics=metrics,
            database=target_database,
            probes=probes,
            deployments=Deployments(where.supervisor_socket),
            gates=GateRunner(
                app_socket=where.app_socket,
                database=audits,
                target=plan.target,
                document=self._run.app_document,
                cache_dir=_gates_cache(),
                seed=plan.seed,
                patience_s=plan.timings.assertion_s,
            ),
        )
        await self._open.enter_async_context(probes)
        self._running.set()

    async def _serve(self, revision: str, *, first: str) -> None:
        """Deploy it; what the app as delivered says of itself is kept before anything else runs."""
        if not self._run.app_document.exists():
            assert self._stack is not None  # noqa: S101 - prepare started it
            await self.run_revision(first)
            await prepare_gates(
                self._stack.addresses.app_socket,
                document=self._run.app_document,
                cache_dir=_gates_cache(),
            )
            if revision == first:
                return
        await self.run_revision(revision)

    async def _start_of(self, trial: int, first: str) -> str:
        """The revision that the trial starts with, when it is fresh."""
        patches = self._options.starts.get(trial, ())
        if not patches:
            return first
        shell = errands_in(self.workspace.path, confined=self._options.sandbox)
        for patch in patches:
            done = await shell.run(("git", "apply", "-"), stdin=patch.read_bytes())
            if done.exit_code != 0:
                raise PortError("workspace", f"{patch} does not apply: {done.output.strip()}")
        names = ", ".join(patch.parent.name for patch in patches)
        commit = await self.workspace.commit_object(f"Start with {names}", at=time.time())
        await self.workspace.adopt(commit.sha)
        return commit.sha

    async def _refresh(self, database: DatabaseSource) -> None:
        """A new database for an isolated trial; the load is off, the ledger starts anew."""
        assert self._stack is not None  # noqa: S101 - prepare looked
        await self.lines.load.apply((), load_id="fresh")
        await self._stack.reset_database(database)

    async def _calibrate(self) -> Calibration:
        assert self._stack is not None  # noqa: S101 - it was started before
        where = self._stack.addresses
        return await calibrate(
            self.lines.load,
            metrics_urls=await self.lines.load.metrics_urls(),
            dsn=where.database.superuser_dsn,
        )

    def _write_rules(self, invariants: tuple[Invariant, ...], timings: Timings) -> Path:
        self._run.rules.mkdir(parents=True, exist_ok=True)
        file = self._run.rules / "invariants.yaml"
        file.write_text(rules_yaml(invariants, timings))
        return file

    async def _judge_by(self, invariants: tuple[Invariant, ...], timings: Timings) -> None:
        """Prometheus records and alerts by these limits from now on."""
        assert self._stack is not None  # noqa: S101 - it was started before
        self._write_rules(invariants, timings)
        await self._stack.reload_rules()


def _gates_cache() -> Path:
    """What the gates make of a document, for all campaigns on this machine."""
    return cache_place() / "gates"
