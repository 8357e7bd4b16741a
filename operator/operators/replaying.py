"""The replay operator: does once more what an operator did in a recorded campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from campaign.model import Assignment, SessionOutcome, SessionResult, Spend
from operators.session import Session
from operators.toolbox.answer import Answer

_EDITOR = "str_replace_based_edit_tool"
_PATCH_END = "END_OF_RECORDED_PATCH"
_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEdit:
    """A call that changed the workspace, whether by the editor, a patch or a shell command."""

    tool: str
    arguments: Mapping[str, Any]
    #: what it changed, as a unified diff
    diff: str
    #: the record of it is not whole: a text in it was too long to be kept
    arguments_cut: bool = False
    diff_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """A call that said or did something else: a deployment, a note, a plan, the resolution."""

    tool: str
    arguments: Mapping[str, Any]
    #: it was refused, or failed, then
    failed: bool = False


RecordedStep: TypeAlias = RecordedEdit | RecordedCall


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTicket:
    """What was done on one ticket, in all its sessions."""

    ticket: str
    steps: tuple[RecordedStep, ...]
    #: how its last session ended, in words
    ended: str = ""


#: Whoever replays knows which recorded ticket is meant; None: there is none.
ReplayBook = Callable[[Assignment], RecordedTicket | None]


@dataclass(kw_only=True)
class _Playing:
    """Where a replay stands."""

    session: Session
    ticket: RecordedTicket
    offered: frozenset[str] = field(default_factory=frozenset)
    done: int = 0


class ReplayDriver:
    """Plays edits, deployments, notes and the resolution of a recorded ticket again, in order.

    Looking around is left out: nobody reads it. When a step cannot be repeated it gives up and
    says which and why; nothing is made up in its place.
    """

    #: the toolbox traces its calls
    traces_itself = False

    def __init__(self, book: ReplayBook) -> None:
        self._book = book

    async def drive(self, session: Session) -> SessionResult:
        ticket = self._book(session.assignment)
        if ticket is None:
            return _gave_up("the recording has no such ticket")
        offered = frozenset(spec.name for spec in session.tools.specs)
        playing = _Playing(session=session, ticket=ticket, offered=offered)
        for step in ticket.steps:
            if spent := session.over_budget():
                return _ended(SessionOutcome.BUDGET_SPENT, spent)
            if problem := await _play(playing, step):
                number, count = playing.done + 1, len(ticket.steps)
                return _gave_up(f"step {number} of {count} cannot be repeated: {problem}")
            playing.done += 1
            if session.resolved:
                return _ended(SessionOutcome.RESOLVED, "")
        return _gave_up(f"the recorded ticket ended unresolved: {ticket.ended or 'unknown why'}")


async def _play(playing: _Playing, step: RecordedStep) -> str:
    """Why it could not be repeated; empty: it was."""
    match step:
        case RecordedEdit():
            return await _edit(playing, step)
        case RecordedCall():
            return await _call(playing, step)


async def _call(playing: _Playing, step: RecordedCall) -> str:
    if step.tool not in playing.offered:
        # such as a plan, where none has to be filed
        return "" if step.tool == "file_plan" else f"there is no tool {step.tool} here"
    answer = await playing.session.tools.call(step.tool, step.arguments)
    if answer.is_error and not step.failed:
        return _told(step.tool, answer)
    return ""


async def _edit(playing: _Playing, edit: RecordedEdit) -> str:
    """By the editor as it was told then; by the recorded diff where that does not do."""
    tools = playing.session.tools
    refused = ""
    if edit.tool == _EDITOR and not edit.arguments_cut:
        answer = await tools.call(edit.tool, edit.arguments)
        if not answer.is_error:
            return ""
        refused = _told(edit.tool, answer)
    if not edit.diff or edit.diff_cut:
        return refused or f"the record of this {edit.tool} is not whole: it was too long"
    if "bash" not in playing.offered:
        return refused or f"a recorded {edit.tool} needs a shell, and there is none here"
    answer = await tools.call("bash", {"command": _applying(edit.diff)})
    if answer.is_error or answer.exit_code:
        return refused or _told(edit.tool, answer)
    return ""


def _applying(diff: str) -> str:
    """One that is applied already stays: a session may begin again after a crash."""
    text = diff if diff.endswith("\n") else f"{diff}\n"
    mark = _PATCH_END
    while mark in text:
        mark += "_"
    return (
        'cd /srv/app && patch=$(mktemp) && cat > "$patch" <<\''
        f"{mark}'\n{text}{mark}\n"
        'git apply --whitespace=nowarn "$patch" '
        '|| git apply --reverse --check "$patch"; code=$?; rm -f "$patch"; (exit $code)'
    )


def _told(tool: str, answer: Answer) -> str:
    return f"{tool}: {answer.text.strip()[-_WORDS:]}"


def _gave_up(reason: str) -> SessionResult:
    return _ended(SessionOutcome.GAVE_UP, reason)


def _ended(outcome: SessionOutcome, reason: str) -> SessionResult:
    return SessionResult(outcome=outcome, reason=reason, spend=Spend())
