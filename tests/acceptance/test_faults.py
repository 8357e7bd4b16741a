"""What breaks is named as what it is: a harness fault is never the operator's, nor a pass."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from campaign.machine import Campaign
from campaign.model import (
    Disturbed,
    Event,
    Finished,
    Inconclusive,
    Phase,
    Repairing,
    Unresolved,
)
from campaign.rig import Rig
from campaign.stack import LocalStack
from tests.acceptance_kit import Wish, play, reachable_folder

DIES_AT_START = (
    "--- a/main.py\n"
    "+++ b/main.py\n"
    "@@ -1,4 +1,5 @@\n"
    ' """The chat service: puts its parts together and runs them."""\n'
    " \n"
    " from __future__ import annotations\n"
    "+import no_such_module\n"
    " \n"
)


@dataclass(slots=True)
class Saboteur:
    """Kills a component once, when the campaign is in a certain phase of a certain trial."""

    #: (trial's index, phase, component)
    plan: list[tuple[int, type[Phase], str]]
    rig: Rig | None = None
    done: list[str] = field(default_factory=list)

    def take(self, rig: Rig) -> None:
        self.rig = rig

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        del before, event
        if not self.plan:
            return
        trial, phase, component = self.plan[0]
        if after.trial.index == trial and isinstance(after.phase, phase) and _is_on(after.phase):
            self.plan.pop(0)
            self._kill(component)

    def _kill(self, component: str) -> None:
        assert self.rig is not None
        assert isinstance(self.rig.stack, LocalStack)
        pid = self.rig.stack._services[component].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.done.append(component)


def _is_on(phase: Phase) -> bool:
    """Its load, if it has one, is applied."""
    return getattr(phase, "applied_at", 0.0) is not None


@pytest.mark.timeout(400)
async def test_each_harness_fault_is_named_and_the_campaign_goes_on(tmp_path: Path) -> None:
    broken = tmp_path / "dies.patch"
    broken.write_text(DIES_AT_START)
    saboteur = Saboteur(
        plan=[
            (0, Disturbed, "prometheus"),
            (1, Repairing, "loadgen"),
            (2, Disturbed, "postgres"),
        ]
    )
    wish = Wish(
        profiles=("pool_exhaustion", "missing_index", "fulltext_search", "streaming_txn"),
        mode="continuous",
        observers=(saboteur,),
        on_rig=saboteur.take,
        fixes={"streaming_txn": broken},
    )
    with reachable_folder() as root:
        campaign = await play(wish, root, name="sabotaged")
    assert saboteur.done == ["prometheus", "loadgen", "postgres"]
    assert isinstance(campaign.phase, Finished)
    assert campaign.phase.failure == ""
    verdicts = [trial.verdict for trial in campaign.done]
    faults = [v.fault if isinstance(v, Inconclusive) else v for v in verdicts[:3]]
    assert faults == ["prometheus", "loadgen", "postgres"]
    assert isinstance(verdicts[3], Unresolved)
    assert "no_such_module" in campaign.done[3].session_end
    assert not any(deployment.ok for deployment in campaign.done[3].deployments)
