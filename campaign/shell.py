"""The one loop that turns events into commands and back: journal, judge, act."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, assert_never

import structlog

from campaign.machine import Campaign, fold, step
from campaign.model import (
    ApplyLoad,
    CampaignStarted,
    CancelSession,
    CloseTrial,
    Command,
    CommandFailed,
    ComponentDown,
    ComponentUp,
    DataGrown,
    Evaluated,
    Event,
    Finished,
    GrowData,
    LoadApplied,
    Plan,
    PrepareStack,
    Preparing,
    Resumed,
    SessionEnded,
    SessionOutcome,
    StackFailed,
    StackReady,
    StartSession,
    StopRequested,
)
from campaign.ports import Assignment, PortError, Ports, SessionResult

#: called after each event with the state before it, the event, and the state after it
Observer = Callable[[Campaign | None, Event, Campaign], None]

log = structlog.get_logger(__name__)


class Shell:
    """Plays one campaign from its journal's end to the campaign's end.

    It also is the operators' `Desk`: `record` returns when the event is durable and judged.
    """

    def __init__(self, ports: Ports, *, observers: tuple[Observer, ...] = ()) -> None:
        self._ports = ports
        self._observers = observers
        self._campaign: Campaign | None = None
        self._inbox: asyncio.Queue[tuple[Event, asyncio.Future[None]]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: asyncio.Task[None] | None = None
        self._loading = asyncio.Lock()

    @property
    def campaign(self) -> Campaign | None:
        return self._campaign

    def now(self) -> float:
        return self._ports.clock.now()

    async def record(self, event: Event) -> None:
        """Hand an event in; returns when it is in the journal and has been judged."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait((event, done))
        await done

    async def request_stop(self, reason: str) -> None:
        await self.record(StopRequested(at=self.now(), reason=reason))

    async def run(self, plan: Plan | None) -> Campaign:
        """Start `plan`, or take up what the journal holds, and play to the end or a stop.

        Raises:
            ValueError: an empty journal and no plan.
        """
        opening = await self._opening_events(plan)
        if not opening:
            assert self._campaign is not None  # noqa: S101 - a finished journal was folded
            return self._campaign
        watchers = [
            asyncio.create_task(self._evaluate_forever(), name="evaluate"),
            asyncio.create_task(self._watch_components(), name="components"),
        ]
        try:
            for event in opening:
                await self._handle(event)
            return await self._loop()
        finally:
            await self._wind_up(watchers)

    async def _opening_events(self, plan: Plan | None) -> list[Event]:
        events = await self._ports.journal.read()
        self._campaign = fold(events)
        if self._campaign is None:
            if plan is None:
                raise ValueError("the journal is empty and there is no plan to start")
            return [CampaignStarted(at=self.now(), plan=plan)]
        if isinstance(self._campaign.phase, Finished):
            return []
        unfinished = await self._ports.archive.unfinished_deployments(events)
        return [*unfinished, Resumed(at=self.now())]

    async def _loop(self) -> Campaign:
        while not self._is_over():
            event, done = await self._inbox.get()
            try:
                await self._handle(event)
            except BaseException as error:
                if not done.cancelled():
                    done.set_exception(error)
                    done.exception()  # seen here too: the loop ends with it
                raise
            if not done.cancelled():
                done.set_result(None)
        assert self._campaign is not None  # noqa: S101 - _is_over looked at it
        return self._campaign

    def _is_over(self) -> bool:
        campaign = self._campaign
        return campaign is not None and (campaign.stopped or isinstance(campaign.phase, Finished))

    async def _handle(self, event: Event) -> None:
        await self._ports.journal.append(event)
        before = self._campaign
        self._campaign, commands = step(before, event)
        for observer in self._observers:
            observer(before, event, self._campaign)
        for command in commands:
            self._execute(command)

    # -- commands -------------------------------------------------------------------------------

    def _execute(self, command: Command) -> None:
        match command:
            case PrepareStack():
                self._spawn(self._prepare(command), name="prepare")
            case GrowData():
                self._spawn(self._guard(command.trial, "grow_data", self._grow(command)))
            case ApplyLoad():
                self._spawn(self._guard(command.trial, "apply_load", self._apply(command)))
            case StartSession():
                self._session = self._spawn(self._work(command), name="session")
            case CancelSession():
                if self._session is not None:
                    self._session.cancel()
            case CloseTrial():
                self._spawn(self._close(command), name="close")
            case _ as never:
                assert_never(never)

    def _spawn(
        self, work: Coroutine[Any, Any, None], name: str | None = None
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, trial: int, command: str, work: Awaitable[Event]) -> None:
        """An executor's answer, or its failure, as an event."""
        try:
            event = await work
        except PortError as error:
            event = self._failed(trial, command, error.component, error.reason)
        except Exception as error:
            log.exception("command_crashed", command=command)
            event = self._failed(trial, command, "ratchet", repr(error))
        await self.record(event)

    def _failed(self, trial: int, command: str, component: str, reason: str) -> CommandFailed:
        return CommandFailed(
            at=self.now(), trial=trial, command=command, component=component, reason=reason
        )

    async def _prepare(self, command: PrepareStack) -> None:
        campaign = self._campaign
        assert campaign is not None  # noqa: S101 - a command comes from a campaign
        try:
            ready = await self._ports.stack.prepare(
                campaign.plan,
                fresh=command.fresh,
                revision=command.revision,
                calibration=campaign.calibration,
            )
        except Exception as error:
            if not isinstance(error, PortError):
                log.exception("prepare_crashed")
            component = error.component if isinstance(error, PortError) else "ratchet"
            reason = error.reason if isinstance(error, PortError) else repr(error)
            failed = StackFailed(
                at=self.now(), trial=command.trial, component=component, reason=reason
            )
            await self.record(failed)
            return
        await self.record(
            StackReady(
                at=self.now(),
                trial=command.trial,
                revision=ready.revision,
                invariants=ready.invariants,
                calibration=ready.calibration,
            )
        )

    async def _grow(self, command: GrowData) -> Event:
        began = self.now()
        rows = await self._ports.database.grow(command.profile, growth_id=command.id)
        at = self.now()
        return DataGrown(at=at, trial=command.trial, rows=rows, duration_s=at - began)

    async def _apply(self, command: ApplyLoad) -> Event:
        async with self._loading:
            await self._ports.load.apply(command.load, load_id=command.id)
        return LoadApplied(at=self.now(), trial=command.trial, load_id=command.id)

    async def _work(self, command: StartSession) -> None:
        assignment = Assignment(
            trial=command.trial,
            ticket=command.ticket,
            session=command.session,
            budget=command.budget,
        )
        try:
            result = await self._ports.operator.work(assignment, self)
        except PortError as error:
            await self.record(self._failed(command.trial, "session", error.component, error.reason))
            return
        except Exception as error:  # the operator's own software; the trial is judged
            log.exception("operator_crashed", ticket=command.ticket.id)
            result = SessionResult(outcome=SessionOutcome.FAILED, reason=repr(error))
        await self.record(
            SessionEnded(
                at=self.now(),
                trial=command.trial,
                ticket=command.ticket.id,
                session=command.session,
                outcome=result.outcome,
                reason=result.reason,
                spend=result.spend,
            )
        )

    async def _close(self, command: CloseTrial) -> None:
        campaign = self._campaign
        assert campaign is not None  # noqa: S101 - a command comes from a campaign
        profile = campaign.plan.profiles[command.trial].id
        try:
            await self._ports.archive.close_trial(
                command.trial, profile=profile, revision=campaign.revision
            )
        except Exception:  # what could not be archived can be rebuilt from the journal
            log.exception("close_trial_failed", trial=command.trial)

    # -- the world's own events -----------------------------------------------------------------

    async def _evaluate_forever(self) -> None:
        """One evaluation each period; also the campaign's clock, so it never stops."""
        while True:
            campaign = self._campaign
            period = 1.0 if campaign is None else campaign.plan.timings.evaluation_s
            await self._ports.clock.sleep(period)
            if campaign is None or campaign.restoring or isinstance(campaign.phase, Preparing):
                continue
            await self.record(await self._evaluate(campaign.trial.index))

    async def _evaluate(self, trial: int) -> Evaluated:
        try:
            seen = await self._ports.metrics.observe()
        except PortError as error:
            return Evaluated(at=self.now(), trial=trial, missing=str(error))
        except Exception as error:
            log.exception("observe_crashed")
            return Evaluated(at=self.now(), trial=trial, missing=repr(error))
        return Evaluated(at=self.now(), trial=trial, samples=seen.samples, generator=seen.generator)

    async def _watch_components(self) -> None:
        async for change in self._ports.stack.changes():
            at = self.now()
            trial = 0 if self._campaign is None else self._campaign.trial.index
            if change.up:
                await self.record(ComponentUp(at=at, trial=trial, component=change.component))
                continue
            await self.record(
                ComponentDown(at=at, trial=trial, component=change.component, reason=change.reason)
            )

    # -- the end --------------------------------------------------------------------------------

    async def _wind_up(self, watchers: list[asyncio.Task[None]]) -> None:
        """Cancel what is at work; the load is healed last, whatever interrupts."""
        tasks = [*watchers, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while not self._inbox.empty():
            _, done = self._inbox.get_nowait()
            done.cancel()
        await asyncio.shield(self._heal())

    async def _heal(self) -> None:
        with suppress(PortError):
            await self._ports.load.apply((), load_id="stop")
