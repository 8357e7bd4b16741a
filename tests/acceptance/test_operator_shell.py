"""An agent with nothing but a shell works a whole campaign by `ratchet operator wait` and `tools`.

RATCHET_LONG=1 plays it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from campaign.model import ActionTaken
from tests.acceptance_kit import disagreements, reachable_folder
from tests.operator_hands import ShellHands, work
from tests.operator_kit import LONG, Place, Record, require_paired
from tests.runs_kit import ratchet

PROFILES = ("missing_index", "pool_exhaustion")
NAME = "by-hand"

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 plays it"),
]


async def test_an_agent_that_has_only_a_shell_works_a_campaign_of_two_trials(
    tmp_path: Path,
) -> None:
    with reachable_folder() as root:
        place = Place(root=root)
        words = ("run", "--profiles", ",".join(PROFILES), "--name", NAME)
        async with place.ratchet(*words, "--operator", "external") as command:
            # All that a shell has: programs, a home, and the two variables that were printed.
            env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | await command.invitation()
            worked = await work(ShellHands(env=env, folder=tmp_path))
            ended = await command.ended()
        assert worked.last_words == ["The ticket is resolved."] * len(PROFILES), ended.said
        assert ended.verdicts == ["resolved"] * len(PROFILES), ended.said
        assert ended.code == 0
        run = place.run(NAME)
        assert await disagreements(run) == []
        record = await Record.of(run)
        tickets = ("T001", "T002")
        actions = [record.of_session(ActionTaken, ticket, 1) for ticket in tickets]
        for ticket, calls in zip(tickets, actions, strict=True):
            require_paired(record.trace(ticket), calls)
        made = [action.tool for calls in actions for action in calls]
        assert sorted(made) == sorted(worked.calls)
        assert ended.outcome["spend"]["turns"] == len(worked.calls)
        # The later ticket told of the earlier one.
        assert ended.outcome["trials"][0]["root_cause"] in worked.tickets[1]
        _require_over(env)


def _require_over(env: dict[str, str]) -> None:
    """A loop around these commands comes to its end, and a late call is told why it is none."""
    again = ratchet("operator", "wait", env=env)
    assert again.returncode == 1
    assert "no more tickets" in again.stderr
    late = ratchet("operator", "tools", "sql", "--json", json.dumps({"query": "select 1"}), env=env)
    assert late.returncode in {2, 3}
    assert late.stderr.strip()
