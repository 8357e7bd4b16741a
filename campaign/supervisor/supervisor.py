"""The loop that turns events into commands: a thin shell around the pure `machine`."""

import asyncio
import time
from pathlib import Path
from typing import assert_never

import structlog

from campaign.identity import IdentityError, identity_for
from campaign.sandbox import unavailable
from campaign.supervisor import listeners
from campaign.supervisor.app import AppRecipe
from campaign.supervisor.config import ConfigError, SupervisorConfig
from campaign.supervisor.effects import Effects
from campaign.supervisor.environments import (
    EnvironmentRefusedError,
    Environments,
    find_interpreter,
)
from campaign.supervisor.logs import AppLog
from campaign.supervisor.machine import step
from campaign.supervisor.model import (
    Command,
    Conclude,
    Drain,
    Event,
    Forward,
    Idle,
    Kill,
    Launch,
    Listen,
    Machine,
    Prepare,
    Prepared,
    Publish,
    Quit,
    Release,
    Requested,
    RestartAfter,
    RestartDue,
    Serving,
    StopRequested,
    Unlisten,
    Unprepared,
)
from campaign.supervisor.records import DeploymentRecords
from campaign.supervisor.restarts import RestartPolicy
from campaign.supervisor.status import rollout_id, status_of
from campaign.supervisor.tree import UnhashableTreeError, tree_hash
from campaign.supervisor.wire import DeploymentRequest, DeploymentResult, Status

#: How many log lines go with a deployment's result.
_RESULT_LINES = 40

log = structlog.get_logger()


class DeploymentConflictError(Exception):
    """The deployment cannot be taken on now; the message says why."""


class Supervisor:
    """Runs one app. Make it with `prepare` inside a running event loop."""

    def __init__(
        self, recipe: AppRecipe, *, environments: Environments, records: DeploymentRecords
    ) -> None:
        config = recipe.config
        self._config = config
        self._environments = environments
        self._records = records
        self._policy = RestartPolicy(limit=config.restart_limit, window_s=config.restart_window_s)
        self._machine = Machine(service=Idle(since=time.time()))
        self._app_log = AppLog(config.log_file, limit_bytes=config.log_bytes)
        self._effects = Effects(recipe, app_log=self._app_log, report=self._dispatch)
        self._waiting: dict[str, asyncio.Future[DeploymentResult]] = {}
        self._requested_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    @classmethod
    async def prepare(cls, config: SupervisorConfig) -> "Supervisor":
        """Check the machine and read the records.

        Raises:
            ConfigError: the sandbox, the interpreter or a folder cannot be used.
        """
        try:
            return await _prepare(cls, config)
        except (OSError, LookupError, ValueError, IdentityError, EnvironmentRefusedError) as error:
            raise ConfigError((str(error),)) from error

    async def deploy(self, request: DeploymentRequest) -> DeploymentResult:
        """Run the source; return when it serves, or when it is clear that it does not.

        The same id again gives the recorded result, or waits for the one under way.

        Raises:
            DeploymentConflictError: another one is under way, or the id was used for another
                revision, or the supervisor is stopping.
        """
        known = self._records.request(request.id)
        if known is not None and known.revision != request.revision:
            raise DeploymentConflictError(f"{request.id} is the id of {known.revision}")
        result = self._records.result(request.id)
        if result is not None:
            return result
        if request.id not in self._waiting:
            self._take_on(request)
        return await asyncio.shield(self._waiting[request.id])

    def deployments(self) -> tuple[DeploymentResult, ...]:
        return self._records.results()

    def status(self) -> Status:
        """Return what runs now; the source hash is that of the tree the process really sees."""
        service = self._machine.service
        running = self._effects.running(service.process) if isinstance(service, Serving) else None
        status = status_of(
            self._machine,
            pid=running.child.app_pid if running else None,
            unhealthy_after=self._config.unhealthy_after,
        )
        return status.model_copy(update={"source_hash": running and running.source_hash})

    def logs(self, count: int) -> tuple[str, ...]:
        return self._app_log.tail(count)

    def stop(self) -> None:
        """Begin to end everything; `wait` returns when it is done. May be called twice."""
        self._dispatch(StopRequested(at=time.time()))

    async def wait(self) -> None:
        await self._ended.wait()

    async def close(self) -> None:
        """End whatever is left, at once, and release all files and sockets."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._effects.close()
        self._app_log.close()

    def _take_on(self, request: DeploymentRequest) -> None:
        rollout = self._machine.rollout
        if rollout is not None:
            raise DeploymentConflictError(f"deployment {rollout_id(rollout)} is under way")
        if self._machine.stopping:
            raise DeploymentConflictError("the supervisor is stopping")
        at = time.time()
        self._records.begin(request, at=at)
        self._requested_at[request.id] = at
        self._waiting[request.id] = asyncio.get_running_loop().create_future()
        self._dispatch(Requested(at=at, request=request))

    def _dispatch(self, event: Event) -> None:
        taken = step(self._machine, event, policy=self._policy)
        self._machine = taken.machine
        for command in taken.commands:
            log.info("supervisor acts", action=type(command).__name__.lower(), what=repr(command))
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:  # noqa: C901 - one case per command
        effects = self._effects
        match command:
            case Prepare():
                self._spawn(command)
            case Listen():
                effects.listen(command.listener)
            case Unlisten():
                effects.unlisten(command.listener)
            case Launch():
                effects.launch(command)
            case Publish():
                effects.publish(command.listener)
            case Forward():
                effects.forward(command.listener, command.process)
            case Drain():
                effects.drain(command.process)
            case Kill():
                effects.kill(command.process)
            case RestartAfter():
                self._restart_after(command)
            case Conclude():
                self._conclude(command)
            case Quit():
                self._spawn(command)
            case _:
                assert_never(command)

    def _spawn(self, command: Prepare | Quit) -> None:
        work = self._prepare(command.request) if isinstance(command, Prepare) else self._quit()
        task = asyncio.create_task(work, name=type(command).__name__)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _prepare(self, request: DeploymentRequest) -> None:
        source = Path(request.source)
        try:
            release = Release(
                deployment=request.id,
                revision=request.revision,
                source=request.source,
                source_hash=await asyncio.to_thread(tree_hash, source),
                environment=str(await self._environments.ensure(source)),
            )
        except (OSError, UnhashableTreeError, EnvironmentRefusedError) as error:
            event = Unprepared(at=time.time(), deployment=request.id, reason=str(error))
            self._dispatch(event)
            return
        self._dispatch(Prepared(at=time.time(), release=release))

    async def _quit(self) -> None:
        await self._effects.wait_until_all_ended()
        self._ended.set()

    def _restart_after(self, command: RestartAfter) -> None:
        def due() -> None:
            self._dispatch(
                RestartDue(at=time.time(), listener=command.listener, restarts=command.restarts)
            )

        asyncio.get_running_loop().call_later(command.delay_s, due)

    def _conclude(self, command: Conclude) -> None:
        result = self._result(command)
        self._records.finish(result)
        self._waiting.pop(command.deployment).set_result(result)

    def _result(self, command: Conclude) -> DeploymentResult:
        running = None if command.process is None else self._effects.running(command.process)
        started_at, now = self._requested_at.pop(command.deployment), time.time()
        request = self._records.request(command.deployment)
        measured = running.source_hash if running else None
        return DeploymentResult(
            id=command.deployment,
            revision=request.revision if request else "",
            ok=command.reason is None,
            reason=command.reason,
            log_tail=running.output.tail()[-_RESULT_LINES:] if running else (),
            drained_first=command.drained_first,
            duration_s=round(now - started_at, 3),
            started_at=started_at,
            finished_at=now,
            source_hash=measured or command.source_hash,
        )


async def _prepare(kind: type[Supervisor], config: SupervisorConfig) -> Supervisor:
    users = config.users or (config.user,)
    # Not as root, all of them are ourselves: one.
    identities = tuple(dict.fromkeys(identity_for(user) for user in users))
    identity = identities[0]
    if config.sandbox == "bubblewrap":
        problem = await asyncio.to_thread(unavailable, identity)
        if problem is not None:
            raise LookupError(f'no sandbox: {problem}; "sandbox": "none" runs the app unconfined')
    interpreter = await asyncio.to_thread(find_interpreter, identity, wanted=config.python)
    for folder in (config.app_dir, config.control_socket.parent, config.log_file.parent):
        folder.mkdir(parents=True, exist_ok=True)
    listeners.remove_stale(config.app_dir)
    return kind(
        AppRecipe.on_this_machine(config, identities=identities, interpreter=interpreter),
        environments=Environments(
            config.environments_dir, wheel_cache=config.wheel_cache, interpreter=interpreter
        ),
        records=DeploymentRecords(config.state_dir / "deployments.jsonl"),
    )
