from __future__ import annotations

from dataclasses import replace

from operators import Toolbox

from campaign.model import NoteWritten, Symptom, TicketAcknowledged, TicketResolved
from tests.toolbox_kit import ASSIGNMENT, Bench

SYMPTOM = Symptom(
    invariant="latency",
    title="Slow requests",
    value=0.31,
    limit=0.05,
    since=1_700_000_000.0,
    operations=("list_messages",),
)


async def test_the_ticket_can_be_read_again() -> None:
    bench = Bench(at=1_700_000_060.0)
    ticket = replace(ASSIGNMENT.ticket, opened_at=1_700_000_005.0, symptoms=(SYMPTOM,))
    tools = Toolbox(bench.equipment, replace(ASSIGNMENT, ticket=ticket), bench)
    assert (await tools.call("read_ticket", {})).text.splitlines() == [
        "Ticket T003, opened 2023-11-14 22:13:25Z",
        "- Slow requests: 0.31 (limit 0.05), since 22:13:20",
        "  operations: list_messages",
        "Load: 12 users, 6.0 requests/s offered.",
        "",
        "It is 2023-11-14 22:14:20Z.",
    ]


async def test_the_ticket_can_be_told_in_other_words() -> None:
    bench = Bench()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench, ticket_text=lambda: "all is red")
    assert (await tools.call("read_ticket", {})).text.startswith("all is red\n")


async def test_a_note_is_written_down_and_an_empty_one_is_none() -> None:
    bench = Bench()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    assert not (await tools.call("write_note", {"text": "watch the pool"})).is_error
    assert (await tools.call("write_note", {"text": " "})).is_error
    assert [event.text for event in bench.events if isinstance(event, NoteWritten)] == [
        "watch the pool"
    ]


async def test_a_ticket_is_acknowledged_with_or_without_a_word() -> None:
    bench = Bench()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    await tools.call("acknowledge", {"message": "on it"})
    await tools.call("acknowledge", {})
    said = [event.message for event in bench.events if isinstance(event, TicketAcknowledged)]
    assert said == ["on it", ""]


async def test_a_resolve_names_the_places_of_the_cause_once_each() -> None:
    bench = Bench()
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    answer = await tools.call(
        "resolve",
        {
            "root_cause": "no index",
            "files": ["schema.py", "/srv/app/models.py", "schema.py"],
            "functions": [" models.py:list_messages"],
        },
    )
    assert (answer.ends_session, tools.resolved) == (True, True)
    said = bench.events[0]
    assert isinstance(said, TicketResolved)
    assert said.places == ("schema.py", "models.py", "models.py:list_messages")
