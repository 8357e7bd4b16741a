"""Who resolves a campaign's tickets: the operator that its plan names, with all that it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from operators import (
    Deed,
    Equipment,
    HistoryBook,
    HistoryOperator,
    NoOperator,
    ReferenceOperator,
    Repair,
    RepairBook,
)
from operators.agent import AgentKit, AgentOperator
from operators.external import ExternalDriver, Seats, expected_tools
from operators.prices import Prices
from operators.replaying import ReplayDriver
from operators.session import Driver
from operators.toolbox import Instruments
from operators.trace import TraceLostError
from operators.trace.folder import TRACES

from campaign.adapters.instruments import Places, open_instruments
from campaign.adapters.journal import open_reader
from campaign.errors import UsageError
from campaign.model import Assignment, Plan, SessionResult
from campaign.operator_records import JournalRecords
from campaign.ports import Desk, Journal, Operator, PortError
from campaign.price_files import read_prices
from campaign.replayed_sessions import recorded_sessions, replay_book
from campaign.rig import Rig, RigOptions
from campaign.rooms import shells_elsewhere
from campaign.runs import RunFolder, find_run
from campaign.seeding import app_environments
from campaign.shell import CampaignOverError
from campaign.stack import APP_ROLE
from campaign.standings import Standings
from campaign.supervisor.environments import EnvironmentRefusedError, Environments
from chaos_profiles import Catalogue
from chaos_profiles.history import load_history

log = structlog.get_logger(__name__)

#: below each ticket. Reports, dashboards and the API are for people: they name profiles.
LINKS = {
    "The service": "http_request; what it offers: GET /openapi.json",
    "Its metrics": "query_metrics, list_metrics",
    "Its logs, and its database's": "read_logs",
    "What was deployed so far": "list_deployments",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """What an operator is chosen and equipped by."""

    plan: Plan
    catalogue: Catalogue
    equipment: Equipment
    #: what the reference operator does in a trial (by its index) instead of the profile's own fix
    repairs: Mapping[int, Repair] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """Where operators that work with tools find the running campaign."""

    run: RunFolder
    rig: Rig
    options: RigOptions
    journal: Journal
    seats: Seats


async def operator_for(staffing: Staffing, premises: Premises) -> Operator:
    """The plan's operator.

    Raises:
        UsageError: what it needs is missing: a key, a price table that can be read, a recording.
    """
    return OnRecord(operator=await _operator(staffing, premises))


async def _operator(staffing: Staffing, premises: Premises) -> Operator:
    plan, equipment = staffing.plan, staffing.equipment
    match plan.operator:
        case "none":
            return NoOperator()
        case "reference":
            book = repair_book(staffing.catalogue, plan, repairs=staffing.repairs)
            return ReferenceOperator(equipment, book)
        case "history":
            return HistoryOperator(equipment, history_book(staffing.catalogue, plan))
        case _:
            return await _agent(staffing, premises)


async def _agent(staffing: Staffing, premises: Premises) -> AgentOperator:
    plan, prices = staffing.plan, read_prices()
    records = JournalRecords(journal=premises.journal, history=premises.rig.workspace)

    @asynccontextmanager
    async def instruments() -> AsyncIterator[Instruments]:
        places = await _places(premises)
        async with open_instruments(places, records=records) as opened:
            yield opened

    kit = AgentKit(
        name=plan.operator,
        equipment=staffing.equipment,
        instruments=instruments,
        options=plan.operator_options,
        seats=premises.seats,
        traces=premises.run.path / TRACES,
        prices=prices,
        redact=_secrets(plan, premises.options),
        links=LINKS,
        standing=Standings(plan=plan, rig=premises.rig).of,
        user_header=staffing.catalogue.target.user_header,
        isolated=plan.mode == "isolated",
    )
    driver = await _driver(plan, premises, prices)
    # Made now, it costs no ticket's time. What is wrong with it the stack will say.
    with suppress(PortError, EnvironmentRefusedError):
        await environment_for(app_environments(), staffing.catalogue.target.app_dir)
    return AgentOperator(kit, driver)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRecord:
    """An operator whose tools and trace are ours: what breaks of those is none of its faults.

    What it does wrong itself it tells by its result: `FAILED` when its own software broke.
    """

    operator: Operator

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        """Raises PortError: something around it broke, or what it does cannot be kept."""
        try:
            return await self.operator.work(assignment, desk)
        except (PortError, CampaignOverError):
            raise
        except TraceLostError as lost:
            raise PortError("traces", str(lost)) from lost
        except Exception as error:
            log.exception("session_broken", ticket=assignment.ticket.id)
            raise PortError("ratchet", repr(error)) from error


async def _places(premises: Premises) -> Places:
    """Of the stack as it runs now; the shell has the Python environment of what is deployed."""
    rig = premises.rig
    if rig.stack is None:
        raise PortError("stack", "it does not run yet")
    where = rig.stack.addresses
    environments = app_environments()
    environment = await environment_for(environments, await rig.export(rig.revision))
    return Places(
        workspace=rig.workspace.path,
        confined=premises.options.sandbox,
        app_socket=where.app_socket,
        app_dsn=where.database.app_dsn,
        app_role=APP_ROLE,
        database_dir=where.database.socket_dir,
        prometheus_url=where.prometheus_url,
        logs_dir=where.logs_dir,
        python_environment=environment,
        shells=shells_elsewhere(environment),
        interpreter_prefix=_unless_below_usr(Path(environments.interpreter.prefix)),
    )


async def environment_for(environments: Environments, source: Path) -> Path:
    """With what the app's tests need, unless the operator has asked for what is not to be had.

    Raises:
        PortError: not even what runs can be installed.
    """
    try:
        return await environments.ensure(source, development=True)
    except EnvironmentRefusedError as refused:
        log.warning("no_tools_for_tests", reason=str(refused))
    try:
        return await environments.ensure(source)
    except EnvironmentRefusedError as refused:
        raise PortError("app", f"its requirements cannot be installed: {refused}") from refused


def _unless_below_usr(prefix: Path) -> Path | None:
    """The system's own programs are in every sandbox anyway."""
    return None if prefix.is_relative_to("/usr") else prefix


async def _driver(plan: Plan, premises: Premises, prices: Prices) -> Driver:
    options = plan.operator_options
    match plan.operator:
        case "claude":
            from campaign import drivers  # noqa: PLC0415 - see there

            return drivers.claude(options, premises.options, prices)
        case "command":
            from campaign import drivers  # noqa: PLC0415 - see there

            return drivers.command(options, premises.options, prices)
        case "external":
            premises.seats.expect(expected_tools(options))
            return ExternalDriver(seats=premises.seats)
        case "replay":
            return await _replay(plan, premises)
        case _:
            raise UsageError(f"unknown operator: {plan.operator}")


def _secrets(plan: Plan, options: RigOptions) -> frozenset[str]:
    if plan.operator not in ("claude", "command"):
        return frozenset()
    from campaign import drivers  # noqa: PLC0415 - see there

    return drivers.secrets(plan.operator, plan.operator_options, options)


async def _replay(plan: Plan, premises: Premises) -> ReplayDriver:
    assert plan.operator_options.recording is not None  # noqa: S101 - the order was checked
    recording = find_run(premises.run.path.parent, plan.operator_options.recording)
    async with open_reader(recording.journal) as journal:
        recorded = recorded_sessions(await journal.read())
    return ReplayDriver(replay_book(recorded, plan))


def repair_book(
    catalogue: Catalogue, plan: Plan, *, repairs: Mapping[int, Repair] | None = None
) -> RepairBook:
    """The reference operator's private channel; `repairs` stand in for the profiles' own."""

    def repair(trial: int) -> Repair:
        if repairs is not None and trial in repairs:
            return repairs[trial]
        profile = plan.profiles[trial]
        return Repair(patch=catalogue.fix_patch(profile).read_text(), root_cause=profile.title)

    return repair


def history_book(catalogue: Catalogue, plan: Plan) -> HistoryBook:
    """What an earlier campaign's operator did, by the trial's profile.

    Raises:
        ProfileError: the target has no history.
    """
    past = load_history(catalogue.target.folder)

    def deed(trial: int) -> Deed | None:
        found = past.get(plan.profiles[trial].id)
        if found is None:
            return None
        patch = None if found.patch is None else found.patch.read_text()
        return Deed(did=found.did, patch=patch, resolved=found.outcome == "resolved")

    return deed
