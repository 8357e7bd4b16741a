"""The real `claude` resolves a trial through Ratchet's MCP server, against the fake Messages API.

It is looked for as `ratchet` does: $RATCHET_CLAUDE, PATH, then the one that PyPI's
claude-agent-sdk brings along (`pip install --group agents`). RATCHET_LONG=1 plays it.
"""

from __future__ import annotations

import warnings

import pytest

from campaign.model import ActionTaken, SessionEnded, SessionOutcome
from tests.acceptance_kit import disagreements, reachable_folder
from tests.fake_messages.server import FakeMessages, running_fake
from tests.operator_kit import (
    LONG,
    Ended,
    Place,
    Record,
    no_real_claude,
    price_source,
    require_paired,
)
from tests.operator_models import KEY, MODEL, TURN_TOKENS, TURN_USD, Metered

NAME = "real"
PROFILE = "missing_index"

if WHY := no_real_claude() if LONG else "":
    warnings.warn(f"THE REAL claude PLAYS NO TRIAL: {WHY}", stacklevel=1)

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 plays it"),
    pytest.mark.skipif(bool(WHY), reason=f"no real claude: {WHY}"),
]


async def test_the_real_claude_resolves_a_trial_and_its_trace_adds_up() -> None:
    model = Metered()
    with reachable_folder() as root:
        place = Place(root=root)
        async with running_fake(model, api_key=KEY) as fake:
            ended = await place.play(
                *("trial", PROFILE, "--operator", "command", "--agent", "claude-code"),
                *("--model", MODEL, "--base-url", fake.base_url, "--name", NAME),
                ANTHROPIC_API_KEY=KEY,
            )
        assert ended.verdicts == ["resolved"], ended.said
        assert ended.code == 0
        assert fake.refused == []
        run = place.run(NAME)
        assert await disagreements(run) == []
        record = await Record.of(run)
        _require_sums(record, ended, fake, answers=model.answers)
        assert record.holding(KEY) == []


def _require_sums(record: Record, ended: Ended, fake: FakeMessages, *, answers: int) -> None:
    """Every answer costs the same, so that the sums are known."""
    trace = record.trace("T001")
    require_paired(trace, record.of_session(ActionTaken, "T001", 1))
    steps = sum(bool(body.get("tools")) for body in fake.bodies)
    assert trace.summary.agent_steps == steps
    usage = trace.usage
    assert (usage.input_tokens, usage.output_tokens) == (1000 * answers, 100 * answers)
    assert (usage.cache_read_tokens, usage.cache_creation_tokens) == (40 * answers, 8 * answers)
    assert usage.total_cost_usd == pytest.approx(TURN_USD * answers)
    assert price_source(trace) == "agent-reported"
    [over] = record.of_session(SessionEnded, "T001", 1)
    assert over.outcome is SessionOutcome.RESOLVED
    assert (over.spend.turns, over.spend.tokens) == (steps, TURN_TOKENS * answers)
    assert over.spend.usd == pytest.approx(usage.total_cost_usd)
    spend = ended.outcome["spend"]
    assert (spend["turns"], spend["tokens"]) == (steps, TURN_TOKENS * answers)
    assert spend["usd"] == pytest.approx(usage.total_cost_usd)
    # Its own tools are off: it is offered ours, and nothing else.
    offered = {tool["name"] for body in fake.bodies for tool in body.get("tools") or ()}
    assert all(name.startswith("mcp__oncall__") for name in offered), offered
