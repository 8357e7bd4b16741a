"""What the ticket says: units and operations, and nothing of a cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from campaign.machine import operations
from campaign.orders import read_catalogue
from campaign.testing import make_plan
from tests.machine_kit import Drive

KNOWN = ("list_messages", "list_conversations", "search_messages", "create_message")


@pytest.mark.parametrize(
    ("select", "judged"),
    [
        (None, ()),
        ('behaviour="canary"', ()),
        ('behaviour="canary",operation="get_conversation"', ("get_conversation",)),
        ("operation='get_conversation'", ("get_conversation",)),
        ('operation!=""', ()),
        ('operation=""', ()),
        ('operation!="create_message"', ()),
        ('operation=~"create_message|delete_message"', ("create_message", "delete_message")),
        (
            'operation=~"list_.*|search_.*"',
            ("list_messages", "list_conversations", "search_messages"),
        ),
        ('operation=~"list_.*",operation!="list_messages"', ("list_conversations",)),
        ('operation=~"list_.*",operation!~".*messages"', ("list_conversations",)),
        ('operation=~"(?P<broken"', ()),
        ('some_operation="x"', ()),
    ],
)
def test_the_operations_follow_from_what_the_invariant_judges(
    select: str | None, judged: tuple[str, ...]
) -> None:
    assert operations.judged(select, known=KNOWN) == judged


def test_a_ticket_tells_units_and_operations() -> None:
    plan = make_plan(1)
    canary, latency = plan.invariants
    plan = replace(
        plan,
        invariants=(
            replace(canary, select='operation="list_messages"'),
            replace(latency, select='behaviour="p0",operation=~"list_.*"', unit="bytes"),
        ),
    )
    ticket = Drive(plan).to_repairing().trial.ticket
    assert ticket is not None
    (symptom,) = ticket.symptoms
    assert (symptom.unit, symptom.operations) == ("bytes", ("list_messages",))


def test_the_operations_of_the_ladder_are_the_apps_own() -> None:
    """Never a behaviour's name, which may say what the load does, and never a profile's."""
    catalogue = read_catalogue()
    own = {name for names in catalogue.target.behaviours.values() for name in names}
    known = operations.named(invariant.select for invariant in catalogue.invariants)
    told = {
        name
        for invariant in catalogue.invariants
        for name in operations.judged(invariant.select, known=known)
    }
    assert told
    assert told <= own
    assert told.isdisjoint(profile.id for profile in catalogue.profiles)
