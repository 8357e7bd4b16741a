"""No briefing names a profile, whatever was journaled: not its id, its title, nor its place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from operators.briefing import make_briefing
from operators.session import Briefing

from campaign.machine import fold
from campaign.model import (
    AssertionState,
    Budget,
    Event,
    OperatorOptions,
    SessionOutcome,
    Ticket,
    TicketResolved,
)
from campaign.model.operator import Memory, Persona
from campaign.operator_records import JournalRecords
from campaign.testing import CALIBRATION, MemoryJournal, Simulation, World, finding, make_plan
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue
from tests.briefing_kit import SPECS, Past
from tests.machine_kit import Drive
from tests.trace_kit import work, writer

PERSONAS: tuple[Persona, ...] = get_args(Persona)
MEMORIES: tuple[Memory, ...] = get_args(Memory)
CATALOGUE = load_catalogue(PROFILES_ROOT / "chat_db_app")


class NoHistory:
    async def parent(self, revision: str) -> str | None:
        return f"before {revision}"

    async def diff(self, before: str, after: str) -> str:
        return f"-{before}\n+{after}"


@pytest.fixture(scope="module")
def journal() -> MemoryJournal:
    """All eighteen profiles, each of them with a ticket that was resolved."""
    limited = calibrated(CATALOGUE.invariants, CALIBRATION.healthy_p95_s)
    plan = replace(
        make_plan(0),
        profiles=CATALOGUE.profiles,
        base_load=CATALOGUE.target.base_load,
        invariants=tuple(replace(invariant, limit=0.05, min_offered=0) for invariant in limited),
    )
    kept = MemoryJournal()
    Simulation(World(plan=plan), kept.events, begin_at=1_000.0).run()
    # What a simulated operator says stands in for what a real one would.
    kept.events[:] = [
        replace(event, root_cause="as it was") if isinstance(event, TicketResolved) else event
        for event in kept.events
    ]
    return kept


def tickets(journal: MemoryJournal) -> list[Ticket]:
    campaign = fold(journal.events)
    assert campaign is not None
    return [record.ticket for record in campaign.done if record.ticket is not None]


@pytest.fixture(scope="module")
def briefings(journal: MemoryJournal, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of every ticket, however the operator is set up; each as one text."""
    folder = tmp_path_factory.mktemp("traces")
    with writer(folder) as trace:
        work(trace)

    async def make() -> list[Briefing]:
        records = JournalRecords(journal=journal, history=NoHistory())
        past = Past(
            past_tickets=await records.tickets(),
            past_deployments=await records.deployments(),
            past_notes=await records.notes(),
        )
        return [
            await make_briefing(
                ticket,
                options=OperatorOptions(persona=persona, memory=memory, plan_mode=True),
                budget=Budget(),
                specs=SPECS,
                records=past,
                traces=folder,
                metrics=("loadgen_requests_total",),
            )
            for ticket in tickets(journal)
            for persona in PERSONAS
            for memory in MEMORIES
        ]

    return [f"{made.role}\n{made.prior}\n{made.ticket}" for made in asyncio.run(make())]


@pytest.fixture(scope="module")
def lost() -> list[Event]:
    """A trial that proved an invariant, one that lost it again, and one whose session broke."""
    first = CATALOGUE.profiles[0]
    plan = replace(make_plan(0), profiles=CATALOGUE.profiles[:4], base_load=())
    proved = next(name for name in first.breaks if name in {i.id for i in CATALOGUE.invariants})
    other = next(each for each in CATALOGUE.profiles if proved not in each.breaks)
    invariants = tuple(
        replace(each, kind="correctness", limit=0.05, min_offered=0)
        for each in CATALOGUE.invariants
        if each.id in {proved, *other.breaks}
    )
    plan = replace(plan, profiles=(first, other, other, other), invariants=invariants)
    drive = Drive(plan).to_second_trial().to_recovering().tick(61, red=[proved])
    assert first.id in drive.trial.verdict.reason  # type: ignore[union-attr]
    drive.load_applied().to_repairing()
    broken = f"OSError({PROFILES_ROOT}/{other.id})"
    drive.end_session(SessionOutcome.FAILED, reason=broken).tick(61, red=other.breaks)
    assert other.id in drive.trial.verdict.reason  # type: ignore[union-attr]
    failed = finding("correct", "pages", AssertionState.FAIL, f"{PROFILES_ROOT}: {other.id}")
    drive.load_applied().to_gates().gates_finished(failed)
    assert other.id in drive.trial.verdict.reason  # type: ignore[union-attr]
    return drive.load_applied().journal


@pytest.mark.parametrize("memory", MEMORIES)
async def test_no_briefing_gives_a_profile_away_when_trials_were_lost(
    lost: list[Event], memory: Memory, tmp_path: Path
) -> None:
    with writer(tmp_path) as trace:
        work(trace)
    campaign = fold(lost)
    assert campaign is not None
    assert campaign.done[0].ticket is not None
    made = await make_briefing(
        campaign.done[0].ticket,
        options=OperatorOptions(memory=memory),
        budget=Budget(),
        specs=SPECS,
        records=JournalRecords(journal=MemoryJournal(events=lost), history=NoHistory()),
        traces=tmp_path,
    )
    text = f"{made.role}\n{made.prior}\n{made.ticket}"
    assert ("these were out of bounds at the end" in text) is (memory == "history")
    for profile in campaign.plan.profiles:
        assert profile.id not in text
        assert profile.title not in text
    assert str(PROFILES_ROOT) not in text


def test_every_profile_has_a_ticket_here(journal: MemoryJournal) -> None:
    assert len(tickets(journal)) == len(CATALOGUE.profiles) == 18


def test_the_past_is_in_them(briefings: list[str]) -> None:
    assert any("outcome: resolved" in text for text in briefings)
    assert any("it came up" in text for text in briefings)


def test_no_briefing_gives_a_profile_away(briefings: list[str]) -> None:
    folders = {path.name for path in (PROFILES_ROOT / "chat_db_app").iterdir() if path.is_dir()}
    names = {word for each in CATALOGUE.profiles for word in (each.id, each.title, each.symptom)}
    forbidden = folders | names | {"chaos", "profile", str(PROFILES_ROOT), "anti-pattern", "fix."}
    assert len(names) == 3 * 18
    for text in briefings:
        assert [word for word in forbidden - {"history"} if word.lower() in text.lower()] == []


def test_no_briefing_names_where_an_anti_pattern_is(briefings: list[str]) -> None:
    places = {place for profile in CATALOGUE.profiles for place in profile.anti_patterns}
    assert places
    for text in briefings:
        assert [place for place in places if place in text] == []
