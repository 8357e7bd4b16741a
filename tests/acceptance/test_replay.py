"""A trial of a real campaign is replayed, and an immunity is traced to what conferred it.

One of the campaign's fixes is not the reference's: a right fix resolves, however it is written.

RATCHET_LONG=1 also replays it with nobody to repair it, and traces the immunity.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from campaign.host import Host
from campaign.immunity import Outcome, Prober
from campaign.machine import Campaign
from campaign.model import Plan, Timings
from campaign.player import Performance
from campaign.replay import compare, plan_of, recorded
from campaign.rig import RigOptions
from campaign.runs import RunFolder
from tests.acceptance_kit import (
    Wish,
    disagreements,
    kinds,
    other_fix,
    play,
    reachable_folder,
    read_events,
)

LONG = bool(os.environ.get("RATCHET_LONG"))
PROFILES = ("pool_exhaustion", "write_amplification")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@dataclass
class Past:
    """Played by the first test that asks for it."""

    root: Path
    campaign: Campaign | None = None

    async def played(self) -> Campaign:
        if self.campaign is None:
            fixes = {PROFILES[0]: other_fix(PROFILES[0])}
            # All are repaired: that takes as long as it takes.
            wish = Wish(profiles=PROFILES, mode="continuous", fixes=fixes, timings=Timings())
            self.campaign = await play(wish, self.root, name="past")
        return self.campaign


@pytest.fixture(scope="module")
def past(root: Path) -> Past:
    return Past(root=root)


async def _play(root: Path, plan: Plan) -> Campaign:
    async with Host(root) as host:
        run = RunFolder(path=root / plan.campaign)
        return await host.play(Performance(run=run, plan=plan, options=RigOptions()))


async def test_another_right_fix_resolves_too(root: Path, past: Past) -> None:
    assert kinds(await past.played()) == ["resolved", "resolved"]
    assert await disagreements(root / "past") == []


@pytest.mark.parametrize(
    ("operator", "verdict"),
    [("reference", "resolved"), *([("none", "unresolved")] if LONG else [])],
)
async def test_a_replayed_trial_fails_in_the_same_way_whoever_repairs_it(
    root: Path, past: Past, operator: str, verdict: str
) -> None:
    campaign = await past.played()
    assert all(trial.snapshot is not None for trial in campaign.done)
    assert all(trial.snapshot.duration_s < 5 for trial in campaign.done if trial.snapshot)

    events = await read_events(root / "past")
    then = recorded(events, "2")
    again = await _play(root, plan_of(then, campaign=f"again-{operator}", operator=operator))

    assert kinds(again) == [verdict]
    assert again.trial.revision_before == campaign.done[1].revision_before
    assert again.plan.base_load == then.beginning.base_load
    assert again.invariants == then.beginning.invariants
    assert compare(then.trial, again.done[0]).same


@pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 traces it")
async def test_an_earlier_revision_breaks_where_a_later_one_holds(root: Path, past: Past) -> None:
    campaign = await past.played()
    (root / "probes").mkdir()
    async with Host(root / "probes") as host:
        prober = Prober(
            play=host.play,
            past=campaign,
            folder=root / "probes",
            options=RigOptions(campaigns=root),
        )
        profile = campaign.plan.profiles[0]
        delivered = await prober.probe(profile, campaign.first_revision)
        mended = await prober.probe(profile, campaign.done[1].revision_before)
    assert (delivered.outcome, mended.outcome) == (Outcome.VIOLATED, Outcome.IMMUNE)
