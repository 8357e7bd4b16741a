"""The history operator: does what the operator of an earlier campaign did in the same trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from campaign.model import Assignment, SessionOutcome, SessionResult
from operators.toolbox.equipment import Desk, Equipment
from operators.toolbox.errors import ToolError
from operators.toolbox.toolbox import Toolbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What was done in a trial."""

    #: in words: the commit's message and the ticket's root cause
    did: str
    #: against the app as the trials before had left it; None: it was not changed
    patch: str | None
    #: whether the ticket was resolved then
    resolved: bool


#: The trial's index -> what was done in it; None: there was no such trial.
HistoryBook = Callable[[int], Deed | None]


class HistoryOperator:
    """Repeats a deed, whether or not it helps; when it cannot be repeated, says so and ends.

    Edits build on each other as they did then. In a campaign of other trials, in another order, or
    with trials that needed no ticket, one may not apply: nothing is made up in its place.
    """

    def __init__(self, equipment: Equipment, book: HistoryBook) -> None:
        self._equipment = equipment
        self._book = book

    async def work(self, assignment: Assignment, desk: Desk) -> SessionResult:
        """Resolve the ticket as it was resolved then, or give up with the reason."""
        deed = self._book(assignment.trial)
        if deed is None:
            return _gave_up("history has no such trial")
        if not deed.resolved:
            return _gave_up(deed.did)
        toolbox = Toolbox(self._equipment, assignment, desk)
        try:
            if deed.patch is not None:
                await toolbox.apply_patch(deed.patch)
                await toolbox.deploy(deed.did)
            await toolbox.resolve(deed.did)
        except ToolError as refused:
            return _gave_up(f"history cannot be repeated here: {refused}")
        return SessionResult(outcome=SessionOutcome.RESOLVED)


def _gave_up(reason: str) -> SessionResult:
    return SessionResult(outcome=SessionOutcome.GAVE_UP, reason=reason)
