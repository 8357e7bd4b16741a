"""Plays one campaign in this process: what `ratchet run` and the daemon have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
from operators import Repair
from operators.external import Seats
from prometheus_client import CollectorRegistry

from campaign.adapters.journal import JournalError, JournalInUseError, open_journal, run_lock
from campaign.errors import HarnessError, UsageError
from campaign.machine import Campaign, fold, step
from campaign.model import Event, Plan
from campaign.orders import read_catalogue
from campaign.preflight import require_boundary
from campaign.rig import Rig, RigOptions
from campaign.runs import RunFolder
from campaign.shell import Observer, Shell
from campaign.webhook import OnLeft, dispatched
from campaign.wiring import wire
from reports import write_report

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How to play it."""

    run: RunFolder
    #: None: take up what the journal holds
    plan: Plan | None
    options: RigOptions
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    observers: tuple[Observer, ...] = ()
    #: called with the shell as soon as there is one, so that others can stop or pause it
    on_shell: Callable[[Shell], None] = lambda _: None
    #: called with the rig, before anything runs
    on_rig: Callable[[Rig], None] = lambda _: None
    #: awaited at the end while the stack is still up, under the last trial's full load
    hold: Callable[[Rig, Campaign], Awaitable[None]] | None = None
    #: how the world outside reaches its sessions; None: it does not
    seats: Seats | None = None
    #: called when its tickets wait for somebody from outside, before anything runs
    on_external: Callable[[], None] = lambda: None
    #: called at the end with the notices that its webhook did not take, if there are any
    on_left: OnLeft = lambda _: None
    #: what the reference operator does in a trial (by its index) instead of the profile's own fix
    repairs: Mapping[int, Repair] = field(default_factory=dict)


async def play(performance: Performance) -> Campaign:
    """Play to the end or to a stop; nothing runs when it returns.

    Raises:
        UsageError: another process plays it, there is nothing to take up, or its operator may not
            work without a sandbox.
        HarnessError: the journal cannot be trusted or written.
    """
    try:
        return await _play(performance)
    except JournalInUseError as error:
        raise UsageError(error.reason) from error
    except JournalError as error:
        raise HarnessError(error.reason) from error


async def _play(performance: Performance) -> Campaign:
    run = performance.run
    async with AsyncExitStack() as cleanup:
        if isinstance(run.journal, str):  # else the journal's own lock is the folder's
            await cleanup.enter_async_context(run_lock(run.path))
        journal = await cleanup.enter_async_context(open_journal(run.journal))
        campaign = fold(await journal.read())
        plan = campaign.plan if campaign is not None else performance.plan
        if plan is None:
            raise UsageError(f"campaign {run.name} has no events yet", hint="start it anew")
        options = performance.options
        require_boundary(
            plan.operator,
            confined=options.sandbox,
            allowed=options.allow_unsandboxed_operator,
            why="it is switched off",
        )
        notices = await cleanup.enter_async_context(
            dispatched(
                run,
                options.webhook,
                registry=performance.registry,
                on_left=performance.on_left,
            )
        )
        if plan.operator == "external":
            performance.on_external()
        catalogue = read_catalogue(plan.target)
        rig = Rig(
            run=run,
            catalogue=catalogue,
            options=options,
            registry=performance.registry,
        )
        cleanup.push_async_callback(rig.stop)
        performance.on_rig(rig)
        ports = await wire(
            rig,
            journal,
            plan,
            run=run,
            catalogue=catalogue,
            options=options,
            seats=performance.seats,
            repairs=performance.repairs,
        )
        shell = Shell(ports, observers=(*performance.observers, *notices))
        performance.on_shell(shell)
        campaign = await shell.run(plan)
        _report(await journal.read(), run)
        if performance.hold is not None:
            await performance.hold(rig, campaign)
        return campaign


def _report(events: Sequence[Event], run: RunFolder) -> None:
    """It can be made anew at any time: a full disk must not turn a played campaign into a crash."""
    try:
        write_report(events, step, run.report)
    except Exception:
        log.exception("report_failed", campaign=run.name)
