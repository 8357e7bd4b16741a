"""What to do after an answer of the model. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from operators.claude.assembly import Turn

#: ends of a turn without a call or a resolve: in a row, and in the whole session
_IDLE_IN_A_ROW, _IDLE_AT_ALL = 2, 6
_PAUSES_IN_A_ROW = 10
_CUTS_IN_A_ROW = 4

STILL_OPEN = (
    "The ticket is still open. Go on with your tools; when the service has recovered, close it by "
    "`resolve` with what was wrong. If nothing more can be done, say so by `resolve` as well."
)
LAST_REMINDER = (
    "The ticket is still open, and your session ends with your next answer unless it calls a tool. "
    "Close the ticket by `resolve`, or go on with your tools."
)
GO_ON = "Your answer reached its length limit. Go on from where it ended."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCalls:
    """Run the calls, and give the results back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Tell the model this."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAgain:
    """Send the conversation again as it is: the provider paused a long turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOver:
    """The context window is full: a new conversation, with a summary of this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """There is no point in going on."""

    reason: str


Step: TypeAlias = RunCalls | Say | AskAgain | StartOver | GiveUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the session has been going: what is allowed a few times only."""

    idle_in_a_row: int = 0
    idle_at_all: int = 0
    pauses_in_a_row: int = 0
    cuts_in_a_row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next step, and how the session has been going with it."""

    step: Step
    pace: Pace


def decide(turn: Turn, pace: Pace) -> Decision:
    """What follows a whole answer, by its stop reason and its blocks."""
    match turn.stop_reason:
        case "refusal":
            return Decision(step=GiveUp(reason=_refused(turn.explanation)), pace=pace)
        case "model_context_window_exceeded":
            return Decision(step=StartOver(), pace=pace)
        case "pause_turn" if not turn.calls:
            return _paused(pace)
        case "max_tokens":
            return _cut(turn, pace)
        case _ if turn.calls:
            return Decision(step=RunCalls(), pace=Pace(idle_at_all=pace.idle_at_all))
        case _:
            return _idle(pace)


def _refused(explanation: str) -> str:
    return f"the model refused: {explanation or 'it did not say why'}"


def _paused(pace: Pace) -> Decision:
    paused = replace(pace, pauses_in_a_row=pace.pauses_in_a_row + 1)
    if paused.pauses_in_a_row > _PAUSES_IN_A_ROW:
        reason = f"the provider paused the same turn {paused.pauses_in_a_row} times in a row"
        return Decision(step=GiveUp(reason=reason), pace=paused)
    return Decision(step=AskAgain(), pace=paused)


def _cut(turn: Turn, pace: Pace) -> Decision:
    cut = replace(pace, cuts_in_a_row=pace.cuts_in_a_row + 1, pauses_in_a_row=0)
    if cut.cuts_in_a_row > _CUTS_IN_A_ROW:
        reason = f"its answers reached their length limit {cut.cuts_in_a_row} times in a row"
        return Decision(step=GiveUp(reason=reason), pace=cut)
    return Decision(step=RunCalls() if turn.calls else Say(text=GO_ON), pace=cut)


def _idle(pace: Pace) -> Decision:
    idle = replace(
        pace,
        idle_in_a_row=pace.idle_in_a_row + 1,
        idle_at_all=pace.idle_at_all + 1,
        pauses_in_a_row=0,
        cuts_in_a_row=0,
    )
    if idle.idle_in_a_row > _IDLE_IN_A_ROW or idle.idle_at_all > _IDLE_AT_ALL:
        reason = "it ended its turn without resolving the ticket, though told that it is open"
        return Decision(step=GiveUp(reason=reason), pace=idle)
    last = idle.idle_in_a_row == _IDLE_IN_A_ROW or idle.idle_at_all == _IDLE_AT_ALL
    return Decision(step=Say(text=LAST_REMINDER if last else STILL_OPEN), pace=idle)
