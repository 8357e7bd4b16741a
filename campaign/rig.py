"""One campaign's stack on this machine: started, deployed, calibrated, watched and stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from campaign.adapters.calibration import calibrate
from campaign.adapters.database import Probes, TargetDatabase
from campaign.adapters.deployments import Deployments
from campaign.adapters.loadgen import LoadgenClient
from campaign.adapters.prometheus import PrometheusClient
from campaign.adapters.workspace import Workspace
from campaign.adapters.workspace_shell import WorkspaceShell
from campaign.doctor import WHEELS_DIR
from campaign.identity import IdentityError
from campaign.model import Calibration, Invariant, Plan, Timings
from campaign.ports import ComponentChange, PortError, Ready
from campaign.runs import RunFolder
from campaign.seeding import recipe
from campaign.stack import (
    ComponentUp,
    LoadgenSettings,
    LocalStack,
    LocalStackConfig,
    StackError,
    SupervisorSettings,
    TemplateRecipe,
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
    #: the app that a fresh trial starts with: as delivered, with these applied
    patches: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The ways to a running stack's parts."""

    load: LoadgenClient
    metrics: PrometheusClient
    database: TargetDatabase
    deployments: Deployments


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
        self._stack: LocalStack | None = None
        self._lines: Lines | None = None
        self._open = AsyncExitStack()
        self._running = asyncio.Event()
        self.workspace = Workspace(run.path)
        #: what runs, for a supervisor that was restarted
        self._revision = ""

    @property
    def lines(self) -> Lines:
        """Raises PortError while nothing runs."""
        if self._lines is None:
            raise PortError("stack", "it does not run yet")
        return self._lines

    @property
    def stack(self) -> LocalStack | None:
        return self._stack

    async def prepare(
        self, plan: Plan, *, fresh: bool, revision: str | None, calibration: Calibration | None
    ) -> Ready:
        """See `ports.Stack`."""
        try:
            first = await self.workspace.create(self._catalogue.target.app_dir)
            database = recipe(
                self._catalogue.target, source=await self.export(first), revision=first
            )
            has_run_before = self._run.stack_record.exists()
            if self._stack is None:
                await self._start(plan, database)
            if fresh:
                if has_run_before:
                    await self._refresh(database)
                await self.workspace.reset_to(first)
            await self.run_revision(revision or await self._patched(first))
            measured = calibration or await self._calibrate()
            invariants = calibrated(plan.invariants, measured.healthy_p95_s)
            await self._judge_by(invariants, plan.timings)
        except (IdentityError, StackError) as error:
            raise PortError("stack", str(error)) from error
        except TooSlowError as error:
            raise PortError("calibration", str(error)) from error
        except EnvironmentRefusedError as error:
            raise PortError("app", f"its requirements cannot be installed: {error}") from error
        return Ready(revision=self._revision, invariants=invariants, calibration=measured)

    async def changes(self) -> AsyncIterator[ComponentChange]:
        """See `ports.Stack`; a supervisor that was restarted is given its revision back first."""
        await self._running.wait()
        assert self._stack is not None  # noqa: S101 - it runs
        async for event in self._stack.events():
            if not isinstance(event, ComponentUp):
                yield ComponentChange(component=event.name, up=False, reason=event.reason)
                continue
            if event.name == "supervisor":
                await self.run_revision(self._revision)
            yield ComponentChange(component=event.name, up=True)

    async def stop(self) -> None:
        """See `ports.Stack`."""
        self._lines = None
        await self._open.aclose()
        self._stack = None

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
        return await self.workspace.export(revision, self._run.deployments / revision)

    # -- how ------------------------------------------------------------------------------------

    async def _start(self, plan: Plan, database: TemplateRecipe) -> None:
        rules = self._write_rules(calibrated(plan.invariants, 0.0), plan.timings)
        config = LocalStackConfig(
            run_dir=self._run.path,
            database=database,
            loadgen=LoadgenSettings(target=plan.target, seed=plan.seed),
            supervisor=SupervisorSettings(wheels_dir=WHEELS_DIR, sandbox=self._options.sandbox),
            rule_files=(rules,),
            daemon_port=self._options.daemon_port,
        )
        stack = await self._open.enter_async_context(LocalStack(config))
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
        self._lines = Lines(
            load=load,
            metrics=metrics,
            database=target_database,
            deployments=Deployments(where.supervisor_socket),
        )
        probes = Probes(
            where.database.superuser_dsn,
            target=self._catalogue.target,
            ledger=load,
            ledger_file=self._run.ledger,
            registry=self._registry,
        )
        await self._open.enter_async_context(probes)
        self._running.set()

    async def _patched(self, first: str) -> str:
        """The revision that a fresh trial starts with."""
        if not self._options.patches:
            return first
        shell = WorkspaceShell(self.workspace.path, confined=self._options.sandbox)
        for patch in self._options.patches:
            done = await shell.run(("git", "apply", "-"), stdin=patch.read_bytes())
            if done.exit_code != 0:
                raise PortError("workspace", f"{patch} does not apply: {done.output.strip()}")
        names = ", ".join(patch.parent.name for patch in self._options.patches)
        commit = await self.workspace.commit_object(f"Start with {names}", at=time.time())
        await self.workspace.adopt(commit.sha)
        return commit.sha

    async def _refresh(self, database: TemplateRecipe) -> None:
        """A new database for an isolated trial; the load is off, the ledger starts anew."""
        assert self._stack is not None  # noqa: S101 - prepare looked
        await self.lines.load.apply((), load_id="fresh")
        await self._stack.reset_database(database)

    async def _calibrate(self) -> Calibration:
        assert self._stack is not None  # noqa: S101 - it was started before
        where = self._stack.addresses
        return await calibrate(
            self.lines.load,
            metrics_url=f"{where.loadgen_url}/metrics",
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
