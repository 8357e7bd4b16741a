"""The `none` operator: does nothing, so that a trial's verdict without help is known."""

from __future__ import annotations

from campaign.model import Assignment, SessionOutcome, SessionResult
from operators.toolbox.equipment import Desk


class NoOperator:
    """Leaves every ticket as it is."""

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        del assignment, desk
        return SessionResult(
            outcome=SessionOutcome.GAVE_UP, reason="the none operator does nothing"
        )
