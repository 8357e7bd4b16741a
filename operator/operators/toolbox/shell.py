"""The session's shell in the workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from pydantic import Field, model_validator

from operators.toolbox.answer import Answer
from operators.toolbox.bounds import ends, plain
from operators.toolbox.equipment import Workspace
from operators.toolbox.errors import ToolError
from operators.toolbox.seen_through import seen_through
from operators.toolbox.tool import Arguments, Tool, Work, changes

_MAX_OUTPUT_CHARS = 30_000
_LOOKS = "; /srv/app is read-only until a plan is filed"


class ShellArguments(Arguments):
    """A command, or a new shell, or both."""

    command: str | None = Field(
        default=None,
        max_length=100_000,
        description="What bash runs; may have several lines. Required unless restart is true.",
    )
    timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=600,
        description="Seconds after which it is ended, and the shell with it: at most 600.",
    )
    restart: bool = Field(
        default=False,
        description="true: end the shell with all it started and begin a new one, first.",
    )

    @model_validator(mode="after")
    def _complete(self) -> ShellArguments:
        if not self.restart and not (self.command or "").strip():
            raise ValueError("command is missing: say what to run, or restart: true")
        return self


async def _bash(work: Work, arguments: ShellArguments) -> Answer:
    looks = not work.may_change()
    async with nullcontext() if looks else _noticing(work):
        if arguments.restart:
            await work.shell.restart()
        if not (arguments.command or "").strip():
            return Answer(text="the shell was started anew, in /srv/app")
        try:
            result = await work.shell.run(arguments.command or "", timeout_s=arguments.timeout_s)
        except ToolError as ended:  # with what it had printed
            raise ToolError(ends(plain(str(ended)), _MAX_OUTPUT_CHARS)) from ended
        work.deed.exit_code = result.exit_code
    output = ends(plain(result.output), _MAX_OUTPUT_CHARS).rstrip("\n")
    end = f"[exit code {result.exit_code}{_LOOKS if looks else ''}]"
    return Answer(text=f"{output}\n{end}" if output else end, exit_code=result.exit_code)


@asynccontextmanager
async def _noticing(work: Work) -> AsyncIterator[None]:
    """What changed in the workspace meanwhile, however it ends."""
    workspace = work.equipment.workspace
    before = await _tree(workspace)
    try:
        yield
    finally:
        work.deed.diff = await seen_through(_changed(workspace, before))


async def _changed(workspace: Workspace, before: str | None) -> str:
    """As a diff; where there can be none, because the files are unfit, in words."""
    after = await _tree(workspace)
    if before == after:
        return ""
    if before is None or after is None:
        fit = "are fit for a deployment again" if after else "are not fit for a deployment any more"
        return f"[no diff: the workspace's files {fit}]\n"
    return await workspace.diff(before, after)


async def _tree(workspace: Workspace) -> str | None:
    try:
        return await workspace.present_tree()
    except ToolError:
        return None


def _has_one_to_look(work: Work) -> bool:
    return work.looking is not None


SHELL = Tool(
    name="bash",
    description="""\
Run a command in a bash shell that lasts as long as your session: folder, variables and \
background jobs stay from call to call. It starts in /srv/app, the app's source, which it may \
change.
Limits: no network at all (use http_request for the app, sql for its database, query_metrics and \
read_logs to look at it); of the file system only /srv/app and a private /tmp are writable; 60 s \
a command if timeout_s says nothing, 600 at most; of a long output beginning and end are shown \
(about 30,000 characters); nothing can be typed in, so no editors and no prompts.
Example: {"command": "grep -n execute *.py | head -40; python3 -m py_compile main.py"}
When a command takes too long the shell is ended with all it started, and the error shows what it \
had printed: call it with restart: true, then with less work, a longer timeout_s or in the \
background (command > /tmp/out 2>&1 &). What you change here runs only after `deploy`. If \
file_plan is among your tools, /srv/app is read-only until you have filed a plan, and then you get \
another shell.""",
    arguments=ShellArguments,
    run=_bash,
    effect=changes,
    needs="shell",
    only_looks=_has_one_to_look,
)
