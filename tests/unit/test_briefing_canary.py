"""No briefing names a profile, whatever was journaled: not its id, its title, nor its place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import get_args

import pytest
from operators.briefing import make_briefing
from operators.session import Briefing

from campaign.machine import fold
from campaign.model import Budget, OperatorOptions, Ticket, TicketResolved
from campaign.model.operator import Memory, Persona
from campaign.operator_records import JournalRecords
from campaign.testing import CALIBRATION, MemoryJournal, Simulation, World, make_plan
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue
from tests.briefing_kit import SPECS, Past
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
