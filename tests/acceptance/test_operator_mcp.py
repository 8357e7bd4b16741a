"""A client of the `mcp` package works a ticket, over stdio and over HTTP.

RATCHET_LONG=1 also goes over HTTP.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from campaign.model import AccessRefused, ActionTaken, SessionEnded, SessionOutcome
from tests.acceptance_kit import disagreements, reachable_folder
from tests.operator_hands import McpHands, Worked, over_http, over_stdio, work
from tests.operator_kit import LONG, Ended, Place, Record, require_paired

NAME = "guest"

pytestmark = pytest.mark.timeout(600)


async def test_a_client_over_stdio_resolves_a_trial() -> None:
    await _works("streaming_txn", over_stdio)


@pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 plays it")
async def test_a_client_over_http_resolves_a_trial() -> None:
    await _works("fulltext_search", over_http)


async def _works(profile: str, joined: Any) -> None:
    with reachable_folder() as root:
        place = Place(root=root)
        words = ("run", "--profiles", profile, "--mode", "isolated", "--name", NAME)
        async with place.ratchet(*words, "--operator", "external") as command:
            env = place.env(**await command.invitation())
            client: AbstractAsyncContextManager[McpHands] = joined(env)
            async with client as hands:
                worked = await work(hands)
            ended = await command.ended()
        await _require_resolved(place, ended, worked)
        secret = env["RATCHET_SEAT_TOKEN"]
        assert (await Record.of(place.run(NAME))).holding(secret) == []


async def _require_resolved(place: Place, ended: Ended, worked: Worked) -> None:
    assert worked.last_words == ["The ticket is resolved."], ended.said
    assert ended.verdicts == ["resolved"], ended.said
    assert ended.code == 0
    run = place.run(NAME)
    assert await disagreements(run) == []
    record = await Record.of(run)
    actions = record.of_session(ActionTaken, "T001", 1)
    assert sorted(action.tool for action in actions) == sorted(worked.calls)
    trace = record.trace("T001")
    assert trace.source == "external"
    require_paired(trace, actions)
    # The briefing is on the trace as the client got it.
    assert trace.events[0].kind == "user_message"
    assert trace.events[0].content == worked.tickets[0]
    [over] = record.of_session(SessionEnded, "T001", 1)
    assert over.outcome is SessionOutcome.RESOLVED
    # Each call is a turn; what it cost the client only the client knows.
    spend = ended.outcome["spend"]
    assert (spend["turns"], spend["tokens"], spend["usd"]) == (len(worked.calls), None, None)
    assert not any(isinstance(event, AccessRefused) for event in record.events)
