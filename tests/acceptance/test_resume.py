"""kill -9 at any moment; `ratchet resume` goes on, and nothing is lost, doubled or left over.

RATCHET_LONG=1 plays four trials with twenty-one kill points; otherwise one trial with five.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from campaign.adapters.journal.codec import encode
from campaign.machine import Campaign, fold, step
from campaign.model import (
    ActionTaken,
    AssertionJudged,
    Baseline,
    Confirming,
    DataGrown,
    DeploymentFinished,
    DeploymentRequested,
    Disturbed,
    Event,
    Finished,
    Recovering,
    SessionEnded,
    StackReady,
    TicketResolved,
)
from tests.acceptance_kit import (
    Process,
    all_gone,
    disagreements,
    follow,
    kinds,
    reachable_folder,
    read_events,
)

Moment = Callable[[Event, Campaign], bool]

LONG = bool(os.environ.get("RATCHET_LONG"))
LADDER = ("missing_index", "pool_exhaustion", "streaming_txn", "fulltext_search")
PROFILES = LADDER if LONG else LADDER[:1]

#: where a life of the controller ends, by name
MOMENTS: dict[str, Moment] = {
    "stack ready": lambda event, _: isinstance(event, StackReady),
    "baseline": lambda _, campaign: (
        isinstance(campaign.phase, Baseline) and campaign.phase.applied_at is not None
    ),
    "data grown": lambda event, _: isinstance(event, DataGrown),
    "disturbed": lambda _, campaign: (
        isinstance(campaign.phase, Disturbed) and campaign.phase.applied_at is not None
    ),
    "edited": lambda event, _: isinstance(event, ActionTaken) and event.edit,
    "deployment requested": lambda event, _: isinstance(event, DeploymentRequested),
    "deployed": lambda event, _: isinstance(event, DeploymentFinished) and event.ok,
    "ticket resolved": lambda event, _: isinstance(event, TicketResolved),
    "session ended": lambda event, _: isinstance(event, SessionEnded),
    "recovering": lambda _, campaign: (
        isinstance(campaign.phase, Recovering) and campaign.phase.clean_since is not None
    ),
    "confirming base": lambda _, campaign: isinstance(campaign.phase, Confirming),
    "confirming full": lambda _, campaign: (
        isinstance(campaign.phase, Confirming) and campaign.phase.stage == "full"
    ),
    "gates at work": lambda event, _: isinstance(event, AssertionJudged),
}
SHORT_TOUR: tuple[tuple[int, str], ...] = (
    (0, "data grown"),
    (0, "edited"),
    (0, "deployment requested"),
    (0, "confirming full"),
    (0, "gates at work"),
)
LONG_TOUR: tuple[tuple[int, str], ...] = (
    *((0, name) for name in ("stack ready", "baseline", "data grown", "disturbed", "edited")),
    *((0, name) for name in ("deployment requested", "recovering")),
    *((1, name) for name in ("baseline", "deployed", "ticket resolved", "confirming base")),
    *((2, name) for name in ("data grown", "edited", "deployment requested", "session ended")),
    *((3, name) for name in ("disturbed", "deployment requested", "deployed", "recovering")),
    *((3, name) for name in ("confirming full", "gates at work")),
)


@pytest.mark.timeout(1800 if LONG else 400)
async def test_a_campaign_killed_again_and_again_ends_as_if_it_had_not_been() -> None:
    tour = LONG_TOUR if LONG else SHORT_TOUR
    with reachable_folder() as root:
        run, log = root / "killed", root / "log"
        words: tuple[str, ...] = ("run", "--profiles", ",".join(PROFILES), "--name", "killed")
        seen: list[Event] = []
        judged = 0
        for trial, moment in tour:
            process = Process(*words, "--runs", str(root), log=log)
            life = _Life(
                process=process,
                run=run,
                trial=trial,
                moment=MOMENTS[moment],
                seen=seen,
                judged=judged,
            )
            seen, judged = await _cut_short(life, log)
            words = ("resume", "killed")
        last = Process(*words, "--runs", str(root), log=log)
        assert await last.ended() == 0, log.read_text()
        campaign = fold(await read_events(run))
        assert campaign is not None
        assert isinstance(campaign.phase, Finished)
        assert kinds(campaign) == ["resolved"] * len(PROFILES)
        assert await disagreements(run) == []
        grown = [event for event in await read_events(run) if isinstance(event, DataGrown)]
        assert {event.rows for event in grown if event.trial == 0} == {331_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Life:
    """One process over the campaign, and the moment it is killed."""

    process: Process
    run: Path
    trial: int
    moment: Moment
    #: what was journaled before it
    seen: list[Event]
    #: how many of those lie before the last kill: what a dying process still wrote is anew to us,
    #: and a moment among it ends this life at its beginning
    judged: int


async def _cut_short(life: _Life, log: Path) -> tuple[list[Event], int]:
    """Kill it at its moment; every event journaled till then is still there, and no process.

    Gives the journal, and how many of its events were judged when the kill was decided.
    """
    campaign: Campaign | None = None
    number = 0
    async for event in follow(life.run, while_running=life.process):
        campaign = step(campaign, event).campaign
        number += 1
        is_new = number > life.judged
        if is_new and campaign.trial.index == life.trial and life.moment(event, campaign):
            break
    else:
        pytest.fail(f"it ended before the moment came:\n{await asyncio.to_thread(log.read_text)}")
    family = life.process.family()
    life.process.kill()
    assert await all_gone(family) == []
    after = await read_events(life.run)
    assert _told(after[: len(life.seen)]) == _told(life.seen)
    assert len(after) >= number
    return after, number


def _told(events: list[Event]) -> list[str]:
    """As text, since a value that is not a number equals nothing, itself included."""
    return [encode(event) for event in events]
