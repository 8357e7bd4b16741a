"""The one toolbox. Every operator works through it, and every call of it is journaled."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from campaign.model import TOOL_NAMES, AccessRefused, ActionTaken, Assignment, OperatorOptions
from operators.session import ToolSpec
from operators.toolbox.answer import Answer
from operators.toolbox.approvals import Approvals
from operators.toolbox.approving import Approving
from operators.toolbox.arguments import parse, unknown
from operators.toolbox.bounds import ends, head, plain
from operators.toolbox.calls import (
    RESULT_CHARS,
    Call,
    CallNames,
    Turns,
    action,
)
from operators.toolbox.catalogue import offered, spec
from operators.toolbox.equipment import Desk, Equipment
from operators.toolbox.errors import ToolError
from operators.toolbox.instruments import Instruments, Shell
from operators.toolbox.pace import Pace, Pacer
from operators.toolbox.patches import PATCH
from operators.toolbox.seen_through import seen_through
from operators.toolbox.ticket import plain_ticket
from operators.toolbox.tool import Deed, Effect, Tool, Work
from operators.trace.recorder import Recorder

#: whatever a tool answers, no more than this is passed on
_MAX_ANSWER_CHARS = 60_000
_TOOL_NAME_CHARS = 100
_SLOW_DOWN = (
    "slow down: too many calls, or too much at once. Nothing was done; wait {wait_s:.0f} s, then "
    "go on with fewer calls, each of which does more"
)
_OVER = "the ticket is resolved, the session is over"
_NOT_YOURS = "the tool failed for a reason that is none of yours"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A call whose tool was found and whose arguments were read, or why that could not be."""

    effect: Effect
    run: Callable[[], Awaitable[Answer]]
    refusal: ToolError | None = None
    #: it can change nothing now
    only_looks: bool = False
    #: for a person who is asked
    shown: Callable[[], Awaitable[Mapping[str, Any]]] | None = None


class Toolbox:
    """The tools of one session on one ticket."""

    def __init__(
        self,
        equipment: Equipment,
        assignment: Assignment,
        desk: Desk,
        *,
        instruments: Instruments | None = None,
        options: OperatorOptions | None = None,
        trace: Recorder | None = None,
        approvals: Approvals | None = None,
        shell: Shell | None = None,
        looking: Shell | None = None,
        ticket_text: Callable[[], str] | None = None,
        standing: Callable[[], Awaitable[str]] | None = None,
        user_header: str = "X-User-Id",
        pace: Pace | None = None,
    ) -> None:
        """Whoever opens a toolbox closes it.

        `looking` is the shell until a plan is filed, where one has to be: it changes nothing; None:
        there is none until then. `ticket_text` and `standing` say what `read_ticket` answers;
        `user_header` is how the app knows users.

        Raises:
            ValueError: approval is asked for a tool that does not exist.
        """
        self._options = options or OperatorOptions()
        if strange := sorted(set(self._options.approve) - set(TOOL_NAMES)):
            raise ValueError(
                f"approval is asked for {', '.join(strange)}, which is no tool; "
                f"the tools are: {', '.join(TOOL_NAMES)}"
            )
        self._desk = desk
        self._trace = trace
        self._session = f"{assignment.ticket.id}-s{assignment.session}"
        self._work = Work(
            assignment=assignment,
            desk=desk,
            equipment=equipment,
            given_instruments=instruments,
            given_shell=shell,
            looking=looking,
            ticket_text=ticket_text or (lambda: plain_ticket(assignment.ticket)),
            standing=standing,
            user_header=user_header,
            next_deployment=self._next_deployment,
            may_change=lambda: self._planned,
        )
        self._approving = Approving(approvals, self._work, session=self._session)
        self._pacer = Pacer(pace or Pace(), at=desk.now())
        has = {"instruments": instruments is not None, "shell": shell is not None}
        self._offered = {tool.name: tool for tool in offered(self._options, **has)}
        self._names = CallNames(f"{self._session}-c")
        self._turns = Turns()
        self._deployments = 0
        self._planned = not self._options.plan_mode
        self._closing = False
        self._resolved = False

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """The tools that this session has."""
        return [spec(tool) for tool in self._offered.values()]

    @property
    def resolved(self) -> bool:
        """The ticket was closed by `resolve`; no tool works any more."""
        return self._resolved

    async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
        """Use a tool. What the caller does wrong is told by an answer with `is_error`.

        Calls may run side by side. Those that change something go one after the other, in the
        order in which they were made. `call` names this one, unique in the session; empty: one is
        made up. A cancelled call, and one that fails for no fault of the caller's, is on record
        before that is raised. Too many calls are refused; how many is on record, not each of them.
        """
        return await self._perform(self._offered, tool, arguments, call=call)

    async def apply_patch(self, patch: str) -> str:
        """Change files of the workspace by a unified diff; one already applied is left as it is.

        Raises:
            ToolError: the patch does not apply; it says where.
        """
        return await self._typed("apply_patch", {"patch": patch})

    async def deploy(self, message: str) -> str:
        """Commit the workspace and run it; on failure the running revision stays.

        Raises:
            ToolError: the new revision did not come up; it says why, with the last log lines.
        """
        return await self._typed("deploy", {"message": message})

    async def resolve(self, root_cause: str) -> str:
        """Close the ticket with what was wrong. It ends the session: no tool works after it."""
        return await self._typed("resolve", {"root_cause": root_cause})

    async def close(self) -> None:
        """The session is over: put on record what is not yet. More than once is no harm."""
        try:
            await seen_through(self._tell_refused(last=True))
        except Exception as error:  # noqa: BLE001 - such as a campaign that is over
            log.warning("refusals_not_kept", session=self._session, reason=repr(error))

    # -- how ------------------------------------------------------------------------------------

    async def _typed(self, tool: str, arguments: Mapping[str, Any]) -> str:
        tools = {PATCH.name: PATCH} | self._offered
        answer = await self._perform(tools, tool, arguments)
        if answer.is_error:
            raise ToolError(answer.text)
        return answer.text

    def _next_deployment(self) -> str:
        self._deployments += 1
        return f"{self._session}-d{self._deployments}"

    async def _perform(
        self, tools: Mapping[str, Tool[Any]], tool: str, arguments: Any, *, call: str = ""
    ) -> Answer:
        wait_s = self._pacer.admit(at=self._desk.now())
        await self._tell_refused()
        if wait_s:
            return _error(_SLOW_DOWN.format(wait_s=wait_s))
        made = Call(
            id=self._names.name(call),
            tool=plain(tool)[:_TOOL_NAME_CHARS],
            arguments=arguments,
            deed=Deed(began_at=self._desk.now()),
        )
        if self._trace is not None:
            self._trace.tool_use(made.id, made.tool, made.kept)
        ready = self._ready(tools, made)
        waits = True
        try:
            async with self._turns.turn(ready.effect):
                waits = False
                return await self._take_turn(made, ready)
        except asyncio.CancelledError:
            if waits and self._closing:
                self._too_late(made)
            elif waits:
                await self._end_unheard(made, "cancelled before its turn came; nothing was done")
            raise

    def _ready(self, tools: Mapping[str, Tool[Any]], call: Call) -> _Ready:
        """What the call asks for; when that is wrong, it will say so when its turn comes."""
        try:
            if call.tool not in tools:
                raise unknown(call.tool, self._offered)
            tool = tools[call.tool]
            arguments = parse(tool, call.arguments)
        except ToolError as refused:
            return _Ready(effect=Effect.READS, run=_nothing, refusal=refused)
        work = replace(self._work, deed=call.deed)
        return _Ready(
            effect=tool.effect(arguments),
            run=functools.partial(tool.run, work, arguments),
            only_looks=tool.only_looks(work),
            shown=None if tool.shown is None else functools.partial(tool.shown, work),
        )

    async def _take_turn(self, call: Call, ready: _Ready) -> Answer:
        if self._closing:
            return self._too_late(call)
        try:
            answer = await self._answer(call, ready)
        except asyncio.CancelledError:
            await self._end_unheard(call, "cancelled before it was done")
            raise
        except Exception as failure:
            await self._end(call, _error(str(failure) or repr(failure)), told=_error(_NOT_YOURS))
            raise
        finally:
            self._resolved |= call.deed.resolved
            if ready.effect is Effect.CLOSES:
                self._closing = self._resolved
        await self._end(call, answer)
        return answer

    async def _answer(self, call: Call, ready: _Ready) -> Answer:
        try:
            await self._permit(call, ready)
            if ready.effect is Effect.CLOSES:
                await self._turns.idle()
                self._closing = True
            answer = await ready.run()
        except ToolError as refused:
            answer = _error(str(refused))
        except PermissionError as refused:
            if refused.errno is not None:  # the system's word, not an instrument's
                raise
            await self._desk.record(
                AccessRefused(
                    **self._work.whose,
                    at=self._desk.now(),
                    what=head(plain(f"{call.tool}: {refused}"), RESULT_CHARS),
                )
            )
            answer = _error(str(refused))
        else:
            self._planned |= ready.effect is Effect.ALLOWS
        return replace(
            answer,
            text=ends(plain(answer.text), _MAX_ANSWER_CHARS),
            diff=answer.diff or call.deed.diff,
            exit_code=call.deed.exit_code if answer.exit_code is None else answer.exit_code,
        )

    async def _permit(self, call: Call, ready: _Ready) -> None:
        """Whether the session may do that now.

        Raises:
            ToolError: not without a plan, or not without a person's word.
        """
        if ready.refusal is not None:
            raise ready.refusal
        if ready.effect is Effect.CHANGES and not (self._planned or ready.only_looks):
            raise ToolError(
                f"{call.tool}: refused until a plan is filed. Look at files, metrics, logs and the "
                "database, file what you mean to do by file_plan, then call this again."
            )
        if call.tool in self._options.approve:
            await self._approving.ask(call, ready.shown)
            call.deed.began_at = self._desk.now()

    # -- on record ------------------------------------------------------------------------------

    async def _end(self, call: Call, answer: Answer, *, told: Answer | None = None) -> None:
        """Journal and trace it, whatever interrupts; `told` is what the trace has of it instead."""
        duration_s = self._desk.now() - call.deed.began_at

        async def keep() -> None:
            taken = action(self._work, call, answer, duration_s=duration_s)
            self._pacer.charge(_chars(taken))
            await self._desk.record(taken)
            if self._trace is not None:
                self._trace.tool_result(call.id, call.tool, told or answer, duration_s=duration_s)

        await seen_through(keep())

    async def _end_unheard(self, call: Call, why: str) -> None:
        """Nobody waits for it any more, so that nobody can be told when it cannot be kept."""
        answer = replace(_error(why), diff=call.deed.diff, exit_code=call.deed.exit_code)
        try:
            await self._end(call, answer)
        except Exception as error:  # noqa: BLE001 - the cancellation is passed on
            log.warning("call_not_kept", call=call.id, tool=call.tool, reason=repr(error))

    async def _tell_refused(self, *, last: bool = False) -> None:
        """One event for many, so that a flood of calls is none in the journal."""
        at = self._desk.now()
        refused = self._pacer.untold(at=at, last=last)
        if not refused:
            return
        what = f"{refused} tool {'call' if refused == 1 else 'calls'}: too many in too short a time"
        if self._trace is not None:
            self._trace.remark(f"refused, nothing was done: {what}")
        await self._desk.record(AccessRefused(**self._work.whose, at=at, what=what))

    def _too_late(self, call: Call) -> Answer:
        answer = replace(_error(f"{call.tool}: {_OVER}"), ends_session=True)
        if self._trace is not None:
            self._trace.tool_result(call.id, call.tool, answer, duration_s=0.0)
        return answer


def _chars(taken: ActionTaken) -> int:
    """About how much of the disk it takes."""
    return len(taken.result) + len(taken.diff) + len(str(taken.arguments))


def _error(text: str) -> Answer:
    return Answer(text=text, is_error=True)


async def _nothing() -> Answer:
    return _error("nothing was done")
