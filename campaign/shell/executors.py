"""What each command does to the world; the outcome comes back as an event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import replace
from typing import Any, assert_never

import structlog

from campaign.machine import Campaign, regressions, watching
from campaign.model import (
    ApplyLoad,
    AssertionJudged,
    Assignment,
    CancelGates,
    CancelSession,
    CloseTrial,
    Command,
    CommandFailed,
    DataGrown,
    Event,
    GatesFinished,
    GrowData,
    LoadApplied,
    PrepareStack,
    RunGates,
    SessionEnded,
    SessionOutcome,
    SessionResult,
    SnapshotTaken,
    StackFailed,
    StackReady,
    StartSession,
    TakeSnapshot,
)
from campaign.ports import PortError, Ports
from campaign.shell.crew import GRACE_S, Crew
from campaign.shell.hub import Hub
from campaign.shell.inbox import CampaignOverError

log = structlog.get_logger(__name__)

_RUN_GATES = "run_gates"


class Executors:
    """One task a command. A failure is an event too, never a silence."""

    def __init__(self, ports: Ports, hub: Hub, crew: Crew) -> None:
        self._ports = ports
        self._hub = hub
        self._crew = crew
        self._session: asyncio.Task[None] | None = None
        self._audit: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._loading = asyncio.Lock()
        self._winding_up = False

    def execute(self, command: Command, campaign: Campaign) -> None:  # noqa: C901 - one case a command
        """Start what `command` asks for; `campaign` is the state it came from."""
        trial = command.trial
        match command:
            case PrepareStack():
                self._crew.start(self._prepare(command, campaign), name="prepare_stack")
            case TakeSnapshot():
                self._start("take_snapshot", trial, self._take_snapshot(command))
            case GrowData():
                self._start("grow_data", trial, self._grow(command))
            case ApplyLoad():
                self._start("apply_load", trial, self._apply(command))
            case StartSession():
                self._session = self._crew.start(self._work(command), name="session")
            case CancelSession():
                if self._session is not None:
                    self._session.cancel()
            case RunGates():
                self._audit = self._start(_RUN_GATES, trial, self._run_gates(command))
            case CancelGates():
                if self._audit is not None:
                    self._audit.cancel()
            case CloseTrial():
                self._closing = self._crew.start(self._close(command, campaign), name="close_trial")
            case _ as never:
                assert_never(never)

    async def wind_up(self) -> None:
        """End what is at work; a trial that is being put away may be finished first."""
        self._winding_up = True
        if self._closing is not None and not self._closing.done():
            await asyncio.wait({self._closing}, timeout=GRACE_S)
        await self._crew.dismiss()

    def _start(self, command: str, trial: int, work: Awaitable[Event | None]) -> asyncio.Task[None]:
        return self._crew.start(self._guard(command, trial, work), name=command)

    async def _guard(self, command: str, trial: int, work: Awaitable[Event | None]) -> None:
        """An executor's answer, or its failure, as an event."""
        try:
            event = await work
        except CampaignOverError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes an event
            event = self._failed(command, trial, _port_error(error, command))
        if event is not None:
            await self._hub.record(event)

    def _failed(self, command: str, trial: int, error: PortError) -> CommandFailed:
        return CommandFailed(
            at=self._hub.now(),
            trial=trial,
            command=command,
            component=error.component,
            reason=error.reason,
        )

    async def _prepare(self, command: PrepareStack, campaign: Campaign) -> None:
        try:
            ready = await self._ports.stack.prepare(
                campaign.plan,
                trial=command.trial,
                fresh=command.fresh,
                revision=command.revision,
                calibration=campaign.calibration,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes an event
            failure = _port_error(error, "prepare_stack")
            await self._hub.record(
                StackFailed(
                    at=self._hub.now(),
                    trial=command.trial,
                    component=failure.component,
                    reason=failure.reason,
                )
            )
            return
        await self._hub.record(
            StackReady(
                at=self._hub.now(),
                trial=command.trial,
                revision=ready.revision,
                invariants=ready.invariants,
                calibration=ready.calibration,
            )
        )

    async def _take_snapshot(self, command: TakeSnapshot) -> Event:
        snapshot = await self._ports.archive.take_snapshot(command.id)
        return SnapshotTaken(at=self._hub.now(), trial=command.trial, snapshot=snapshot)

    async def _grow(self, command: GrowData) -> Event:
        began = self._hub.now()
        rows = await self._ports.database.grow(command.profile, growth_id=command.id)
        at = self._hub.now()
        return DataGrown(at=at, trial=command.trial, rows=rows, duration_s=at - began)

    async def _apply(self, command: ApplyLoad) -> Event:
        """One load after the other; after a verdict the trial is put away before all goes on."""
        try:
            async with self._loading:
                await self._ports.load.apply(command.load, load_id=command.id)
        finally:
            if self._closing is not None:
                await asyncio.wait({self._closing})
        return LoadApplied(at=self._hub.now(), trial=command.trial, load_id=command.id)

    async def _work(self, command: StartSession) -> None:
        assignment = Assignment(
            trial=command.trial,
            ticket=command.ticket,
            session=command.session,
            budget=command.budget,
        )
        try:
            event = await self._session_event(command, assignment)
        finally:
            if not self._winding_up:
                trial = command.trial
                self._start("settle_deployments", trial, self._settle_deployments())
        await self._hub.record(event)

    async def _session_event(self, command: StartSession, assignment: Assignment) -> Event:
        try:
            result = await self._ports.operator.work(assignment, self._hub)
        except PortError as error:
            return self._failed("session", command.trial, error)
        except CampaignOverError:
            raise
        except Exception as error:  # the operator's own software; the trial is judged
            log.exception("operator_crashed", ticket=command.ticket.id)
            result = SessionResult(outcome=SessionOutcome.FAILED, reason=repr(error))
        return SessionEnded(
            at=self._hub.now(),
            trial=command.trial,
            ticket=command.ticket.id,
            session=command.session,
            outcome=result.outcome,
            reason=result.reason,
            spend=result.spend,
        )

    async def _settle_deployments(self) -> None:
        """A session may leave while a deployment of its is under way: its end is still a fact."""
        campaign = self._hub.campaign
        if campaign is None or not campaign.deploying:
            return
        events = await self._ports.journal.read()
        for finished in await self._ports.archive.unfinished_deployments(events):
            await self._hub.record(finished)

    async def _run_gates(self, command: RunGates) -> Event:
        """Each finding is durable before the next; gates that are left end where they are."""
        results = self._ports.gates.audit(command.trial, command.id)
        try:
            async for result in results:
                judged = AssertionJudged(
                    at=self._hub.now(),
                    trial=command.trial,
                    audit=command.id,
                    result=replace(result, details=_as_json(result.details)),
                )
                await self._hub.record(judged)
        finally:
            if isinstance(results, AsyncGenerator):
                await results.aclose()
        return GatesFinished(at=self._hub.now(), trial=command.trial, audit=command.id)

    async def _close(self, command: CloseTrial, campaign: Campaign) -> None:
        profile = campaign.plan.profiles[command.trial].id
        red = watching.violated_now(campaign.trial.after)
        try:
            await self._ports.archive.close_trial(
                command.trial,
                profile=profile,
                revision=campaign.revision,
                broken=tuple(name for name in red if name in regressions.correctness(campaign)),
            )
        except Exception:  # what could not be archived can be rebuilt from the journal
            log.exception("close_trial_failed", trial=command.trial)


def _as_json(details: dict[str, Any]) -> dict[str, Any]:
    """What the journal can hold: a careless assertion must not end the campaign."""
    plain: dict[str, Any] = json.loads(json.dumps(details, default=str))
    return plain


def _port_error(error: Exception, command: str) -> PortError:
    """An adapter says which part failed; anything else is a defect of ours."""
    if isinstance(error, PortError):
        return error
    log.error("command_crashed", command=command, exc_info=error)
    return PortError("gates" if command == _RUN_GATES else "ratchet", repr(error))
