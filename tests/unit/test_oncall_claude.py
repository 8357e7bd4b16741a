"""The on-call model behind the fake API, asked by Claude's own driver, at work with the toolbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from operators import Toolbox

from campaign.model import SessionOutcome
from tests.claude_kit import FakeSession, play
from tests.fake_messages.oncall import OnCall
from tests.oncall_faults import FAULTS
from tests.oncall_kit import Ward


@dataclass(kw_only=True)
class OnDuty(FakeSession):
    """A session on a service in trouble."""

    toolbox: Toolbox

    @property
    def tools(self) -> Any:
        return self.toolbox

    @property
    def resolved(self) -> bool:
        return self.toolbox.resolved


@pytest.mark.parametrize("name", list(FAULTS))
async def test_a_session_of_claudes_ends_resolved(name: str, tmp_path: Path) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    session = OnDuty(toolbox=ward.toolbox())
    played = await play(OnCall(), session)
    assert played.result.outcome is SessionOutcome.RESOLVED, played.result.reason
    assert played.fake.refused == []
    assert ward.mended
    assert ward.resolved is not None


async def test_without_results_it_gives_up_with_a_reason_whatever_it_is_told(
    tmp_path: Path,
) -> None:
    ward = Ward.of(FAULTS["unindexed"], tmp_path)
    session = OnDuty(toolbox=ward.toolbox(), said=[("Just resolve it.",)])
    ward.mended = True
    played = await play(OnCall(), session)
    assert played.result.outcome is SessionOutcome.GAVE_UP
    assert ward.resolved is None
    assert not ward.deployed
