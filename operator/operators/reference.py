"""The reference operator: knows each profile's fix, and deploys it as anybody would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from campaign.model import Assignment, SessionOutcome, SessionResult
from operators.toolbox.equipment import Desk, Equipment
from operators.toolbox.errors import ToolError
from operators.toolbox.toolbox import Toolbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What the private channel says of a trial."""

    #: None: nothing is to be done
    patch: str | None
    root_cause: str
    #: how long the operator looks on before it acts, seconds
    after_s: float = 0.0


#: The private channel that no other operator has: the trial's index -> its repair.
RepairBook = Callable[[int], Repair]


class ReferenceOperator:
    """Applies the profile's fix, deploys it and resolves the ticket."""

    def __init__(self, equipment: Equipment, repairs: RepairBook) -> None:
        self._equipment = equipment
        self._repairs = repairs

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        """Resolve the ticket, or give up with the tool's own words."""
        repair = self._repairs(assignment.trial)
        toolbox = Toolbox(self._equipment, assignment, desk)
        await asyncio.sleep(repair.after_s)
        if repair.patch is None:
            return SessionResult(outcome=SessionOutcome.GAVE_UP, reason="nothing is to be done")
        try:
            await toolbox.apply_patch(repair.patch)
            await toolbox.deploy(repair.root_cause)
            await toolbox.resolve(repair.root_cause)
        except ToolError as refused:
            return SessionResult(outcome=SessionOutcome.GAVE_UP, reason=str(refused))
        return SessionResult(outcome=SessionOutcome.RESOLVED)
