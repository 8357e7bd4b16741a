"""Claude against the fake Messages API, on the live stack: one campaign that several tests look at.

Its first ticket is cut short by kill -9 in the middle of a session, and resumed.
RATCHET_LONG=1 plays four profiles instead of two, and replays a recorded session.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from campaign.model import (
    ActionTaken,
    DeploymentFinished,
    DeploymentRequested,
    Resumed,
    SessionEnded,
    SessionOutcome,
    SpendNoted,
    TicketResolved,
)
from campaign.orders import read_catalogue
from tests.acceptance_kit import all_gone, disagreements, reachable_folder
from tests.fake_messages.server import FakeMessages, running_fake
from tests.operator_kit import LONG, Ended, Place, Record, price_source, require_paired
from tests.operator_models import (
    KEY,
    MODEL,
    TURN_TOKENS,
    TURN_USD,
    CutShort,
    Metered,
    briefing,
    role,
    session_of,
    ticket_of,
    told,
    turns_so_far,
)
from tests.runs_kit import ratchet

LADDER = ("missing_index", "pool_exhaustion", "fulltext_search", "write_contention")
PROFILES = LADDER if LONG else LADDER[:2]
NAME = "oncall"
#: whose first session is killed, after so many answers
KILLED, ANSWERS = "T001", 6
NOTE = (
    "The statement that takes long reads many more rows than it gives; I was about to EXPLAIN it."
)
TURNS, TOKENS, USD = 80, 1_000_000, 5.0
BUDGETS = (
    *("--budget-turns", str(TURNS)),
    *("--budget-tokens", str(TOKENS)),
    *("--budget-usd", str(USD)),
)

pytestmark = pytest.mark.timeout(1500 if LONG else 900)


@dataclass(frozen=True, kw_only=True)
class Played:
    """The campaign when it is over."""

    place: Place
    ended: Ended
    record: Record
    fake: FakeMessages
    #: of the ticket that was cut short, by the killed process
    left_over: list[str]

    @property
    def trials(self) -> list[dict[str, Any]]:
        return list(self.ended.outcome["trials"])

    def asked(self, ticket: str, session: int = 1) -> list[dict[str, Any]]:
        """The requests of one session that were answered, oldest first."""
        return [
            body
            for body in self.fake.bodies
            if (ticket_of(body), session_of(body)) == (ticket, session) and not _is_silence(body)
        ]


def _is_silence(body: Mapping[str, Any]) -> bool:
    whose = (ticket_of(body), session_of(body))
    return whose == (KILLED, 1) and turns_so_far(body) >= ANSWERS


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with reachable_folder() as root:
        yield asyncio.run(_play(Place(root=root)))


async def _play(place: Place) -> Played:
    model = CutShort(ticket=KILLED, note=NOTE, answers=ANSWERS)
    async with running_fake(Metered(model=model), api_key=KEY) as fake:
        env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": fake.base_url}
        words = ("run", "--profiles", ",".join(PROFILES), "--mode", "isolated", "--name", NAME)
        chosen = ("--operator", "claude", "--model", MODEL, *BUDGETS)
        async with place.ratchet(*words, *chosen, **env) as command:
            await command.happened(model.silent)
            family = command.process.family()
            command.process.kill()
            left_over = await all_gone(family)
        ended = await place.play("resume", NAME, **env)
    return Played(
        place=place,
        ended=ended,
        record=await Record.of(place.run(NAME)),
        fake=fake,
        left_over=left_over,
    )


async def test_every_ticket_is_resolved_by_what_the_model_found_out(played: Played) -> None:
    assert played.ended.verdicts == ["resolved"] * len(PROFILES), played.ended.said
    assert played.ended.code == 0
    assert played.fake.refused == []
    assert await disagreements(played.record.run) == []
    for trial in played.trials:
        assert trial["session_end"] == "resolved"
        assert trial["deployments"] - trial["deployments_failed"] >= 1
        assert trial["root_cause"]
        assert trial["places"]


def test_trace_journal_cost_and_report_agree(played: Played) -> None:
    record = played.record
    turns_of_all = 0
    for trial in played.trials:
        ticket, turns = trial["ticket"], 0
        for session in range(1, trial["sessions"] + 1):
            actions = record.of_session(ActionTaken, ticket, session)
            trace = record.trace(ticket, session)
            require_paired(trace, actions)
            answered = len(played.asked(ticket, session))
            assert trace.summary.agent_steps == len(trace.turns) == answered
            assert all(turn.latency_ms is not None for turn in trace.turns)
            usage = trace.usage
            assert (usage.input_tokens, usage.output_tokens) == (1000 * answered, 100 * answered)
            assert usage.cache_read_tokens == usage.cached_input_tokens == 40 * answered
            assert usage.cache_creation_tokens == usage.cache_write_tokens == 8 * answered
            assert usage.total_cost_usd == pytest.approx(TURN_USD * answered)
            assert price_source(trace) == "price-table"
            noted = record.of_session(SpendNoted, ticket, session)[-1].spend
            assert (noted.turns, noted.tokens) == (answered, TURN_TOKENS * answered)
            assert noted.usd == pytest.approx(usage.total_cost_usd)
            for over in record.of_session(SessionEnded, ticket, session):
                assert over.spend == noted
            turns += answered
        _require_spend(trial["spend"], turns)
        turns_of_all += turns
    _require_spend(played.ended.outcome["spend"], turns_of_all)


def _require_spend(spend: Mapping[str, Any], turns: int) -> None:
    assert spend["turns"] == turns
    assert spend["tokens"] == spend["at_least_tokens"] == TURN_TOKENS * turns
    assert spend["usd"] == spend["at_least_usd"] == pytest.approx(TURN_USD * turns)


def test_the_report_and_the_commands_say_the_same(played: Played) -> None:
    run = played.record.run
    assert json.loads((run / "report" / "summary.json").read_text()) == played.ended.outcome
    page = (run / "report" / "index.html").read_text()
    spend = played.ended.outcome["spend"]
    assert f"{spend['turns']} turns" in page
    assert f"${spend['usd']:.2f}" in page
    listed = ratchet(
        *("operator", "trace", NAME, "--json", "--runs", played.place.runs),
        env=played.place.env(),
    )
    assert listed.returncode == 0, listed.stderr
    briefs = {brief["sessionId"]: brief for brief in json.loads(listed.stdout)["sessions"]}
    expected = {
        f"{trial['ticket']}-s{session}": played.record.trace(trial["ticket"], session)
        for trial in played.trials
        for session in range(1, trial["sessions"] + 1)
    }
    assert set(briefs) == set(expected)
    for name, trace in expected.items():
        assert briefs[name]["source"] == "claude"
        assert briefs[name]["complete"] == trace.complete == (name != f"{KILLED}-s1")
        assert briefs[name]["summary"]["agentSteps"] == trace.summary.agent_steps
        assert briefs[name]["usage"]["totalCostUsd"] == trace.usage.total_cost_usd


def test_after_kill_9_a_fresh_session_goes_on_with_its_notes_and_what_is_left(
    played: Played,
) -> None:
    assert played.left_over == []
    assert any(isinstance(event, Resumed) for event in played.record.events)
    [trial] = [trial for trial in played.trials if trial["ticket"] == KILLED]
    assert trial["sessions"] == 2
    assert len(played.asked(KILLED, 1)) == ANSWERS
    # Nobody was there to say how the first one ended; what it had cost was on record.
    assert played.record.of_session(SessionEnded, KILLED, 1) == []
    [over] = played.record.of_session(SessionEnded, KILLED, 2)
    assert over.outcome is SessionOutcome.RESOLVED

    first = played.asked(KILLED, 2)[0]
    assert turns_so_far(first) == 0
    assert NOTE in briefing(first)
    found = re.search(
        r"You have for this ticket: ([\d.]+) minutes?, (\d+) turns, ([\d,]+) tokens, \$(\S+)\.\n",
        role(first),
    )
    assert found is not None, role(first)
    minutes, turns, tokens, usd = found.groups()
    assert 0 < float(minutes) < 30
    assert int(turns) == TURNS - ANSWERS
    assert int(tokens.replace(",", "")) == TOKENS - ANSWERS * TURN_TOKENS
    assert usd == f"{USD - ANSWERS * TURN_USD:.2f}"


def test_a_session_is_told_what_happened_on_earlier_tickets(played: Played) -> None:
    before, now = (trial["ticket"] for trial in played.trials[:2])
    assert "Your notes" not in briefing(played.asked(before)[0])
    later = briefing(played.asked(now)[0])
    assert NOTE in later
    assert "outcome: resolved" in later
    of_before = [e for e in played.record.events if getattr(e, "ticket", "") == before]
    [resolved] = [event for event in of_before if isinstance(event, TicketResolved)]
    assert resolved.root_cause in later
    deployed = [event for event in of_before if isinstance(event, DeploymentRequested)]
    assert deployed
    for deployment in deployed:
        assert deployment.deployment in later
        assert deployment.revision[:12] in later
    edits = [event.diff for event in of_before if isinstance(event, ActionTaken) and event.edit]
    added = [line for line in edits[0].splitlines() if re.match(r"\+[^+]*[^+\s]", line)]
    assert added
    assert added[0] in later


def test_no_request_tells_a_profile_or_the_way_to_one(played: Played) -> None:
    catalogue = read_catalogue()
    last = {(ticket_of(body), session_of(body)): told(body) for body in played.fake.bodies}
    assert len(last) == len(PROFILES) + 1
    for text in last.values():
        for profile in catalogue.profiles:
            assert profile.id not in text
        for place in ("chaos_profiles", "fix.patch", str(Path(__file__).parents[2])):
            assert place not in text


def test_the_key_is_nowhere_in_what_the_campaign_left(played: Played) -> None:
    assert any(path.name == "journal.db" for path in played.record.files())
    assert played.record.holding(KEY) == []
    assert KEY not in played.ended.said
    assert KEY not in json.dumps(played.fake.bodies)


@pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 plays it")
async def test_a_recorded_session_is_played_again_and_resolves(played: Played) -> None:
    profile = PROFILES[0]
    ended = await played.place.play(
        *("trial", profile, "--operator", "replay", "--recording", NAME, "--name", "again")
    )
    assert ended.verdicts == ["resolved"], ended.said
    assert ended.code == 0
    then, now = played.record, await Record.of(played.place.run("again"))
    assert _did(now) == _did(then)
    assert _ran(now) == _ran(then)
    # Nobody was asked, and nothing was paid; what nobody counts is unknown, and no zero.
    [trial] = ended.outcome["trials"]
    assert (trial["spend"]["tokens"], trial["spend"]["usd"]) == (None, None)
    require_paired(now.trace("T001"), now.of_session(ActionTaken, "T001", 1))


def _did(record: Record) -> list[tuple[str, str]]:
    """Edits and deeds on the first ticket, with what they changed; looking around is left out."""
    deeds = {"acknowledge", "deploy", "resolve", "write_note"}
    return [
        (event.tool, event.diff)
        for event in record.events
        if isinstance(event, ActionTaken) and event.ticket == "T001"
        if event.edit or event.tool in deeds
    ]


def _ran(record: Record) -> list[str]:
    """The source of each successful deployment of the first ticket, by its hash."""
    return [
        event.source_hash
        for event in record.events
        if isinstance(event, DeploymentFinished) and event.ok
        if event.deployment.startswith("T001")
    ]
