"""Deployments: what was run before, and how the workspace is run."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from pydantic import Field, field_validator

from campaign.model import DeploymentFinished, DeploymentOutcome, DeploymentRequested
from operators.toolbox.answer import Answer
from operators.toolbox.approving import for_people
from operators.toolbox.bounds import head, one_line, plain
from operators.toolbox.errors import ToolError
from operators.toolbox.instruments import PastDeployment
from operators.toolbox.times import date_and_clock
from operators.toolbox.tool import Arguments, Tool, Work, changes

_MAX_DIFF_CHARS = 6_000
#: of what a person is asked to approve
_MAX_SHOWN_CHARS = 40_000
_MAX_CHARS = 30_000


class ListArguments(Arguments):
    """How many, and how much of each."""

    limit: int = Field(default=10, ge=1, le=100, description="The newest so many: 1 to 100.")
    diff: bool = Field(default=False, description="true: also what each of them changed.")


class DeployArguments(Arguments):
    """What is told of it."""

    message: str = Field(
        max_length=5_000,
        description="The commit's message: what was changed, and why. Not empty.",
    )

    @field_validator("message")
    @classmethod
    def _said(cls, message: str) -> str:
        if not message.strip():
            raise ValueError("it is empty: say what was changed, and why")
        return message


async def _list(work: Work, arguments: ListArguments) -> Answer:
    diffs_of = arguments.limit if arguments.diff else 0
    records = work.instruments.records
    past = sorted(await records.deployments(diffs_of=diffs_of), key=lambda of: of.requested_at)
    if not past:
        return Answer(text="nothing was deployed yet: the app runs as it was delivered")
    newest = past[: -arguments.limit - 1 : -1]
    told = [_told(deployment, diff=arguments.diff) for deployment in newest]
    count = f"({len(newest)} of {len(past)} deployments, the newest first)"
    return Answer(text="\n".join((head("\n".join(told), _MAX_CHARS), count)))


def _told(deployment: PastDeployment, *, diff: bool) -> str:
    end = {None: "under way", True: "ok", False: "failed, rolled back"}[deployment.ok]
    lines = [
        "  ".join(
            (
                deployment.id,
                date_and_clock(deployment.requested_at),
                deployment.revision[:12],
                end,
                one_line(plain(deployment.message), 300),
            )
        )
    ]
    if deployment.reason and not deployment.ok:
        lines.append(f"    {one_line(plain(deployment.reason), 500)}")
    if diff:
        lines.append(head(plain(deployment.diff), _MAX_DIFF_CHARS).rstrip() or "    (no change)")
    return "\n".join(lines)


async def _shown(work: Work) -> dict[str, str]:
    """What the deployment would change of what runs."""
    workspace = work.equipment.workspace
    work.deed.approved = tree = await workspace.present_tree()
    diff = plain(await workspace.diff(await workspace.running(), tree))
    return {"diff": for_people(diff, _MAX_SHOWN_CHARS) or "(nothing: the files are what runs)"}


async def _deploy(work: Work, arguments: DeployArguments) -> Answer:
    async with AsyncExitStack() as turn:
        # One whose caller has left may still be under way. Whoever waits here can be cancelled.
        await turn.enter_async_context(work.equipment.deploying)
        asked = await _commit(work, arguments.message)
        deployment, revision = asked.deployment, asked.revision
        # From here on it is seen through: a session may be cancelled, but a deployment that was
        # asked for still ends on record, and only then it is the next one's turn.
        carrying_out = asyncio.create_task(
            _carry_out(work, asked, turn=turn.pop_all()), name=deployment
        )
    under_way = work.equipment.under_way
    under_way.add(carrying_out)
    carrying_out.add_done_callback(lambda over: _over(under_way, over))
    outcome = await asyncio.shield(carrying_out)
    if not outcome.ok:
        raise ToolError(
            f"deployment {deployment} failed: {outcome.reason}\n\n"
            "It was rolled back: the revision before goes on serving, and your files are as you "
            "left them. Mend what the reason says, then deploy again."
        )
    drained = ", after the old one had left" if outcome.drained_first else ""
    text = f"deployed {revision[:12]} in {outcome.duration_s:.1f} s: it is healthy and serves"
    return Answer(text=f"{text}{drained}; see by metrics and logs whether the symptoms go away")


async def _commit(work: Work, message: str) -> DeploymentRequested:
    """Raises ToolError: the files are unfit, or not those that a person agreed to."""
    workspace = work.equipment.workspace
    revision = await workspace.commit(message, at=work.desk.now())
    if work.deed.approved is not None and await workspace.diff(work.deed.approved, revision):
        raise ToolError(
            "the files have changed since a person was shown them: nothing was deployed. End what "
            "changes them in the background, then call deploy again"
        )
    return DeploymentRequested(
        **work.whose,
        at=work.desk.now(),
        deployment=work.next_deployment(),
        revision=revision,
        message=message,
    )


async def _carry_out(
    work: Work, asked: DeploymentRequested, *, turn: AsyncExitStack
) -> DeploymentOutcome:
    async with turn:
        return await _recorded(work, asked)


async def _recorded(work: Work, asked: DeploymentRequested) -> DeploymentOutcome:
    """On record before git and the supervisor hear of it: a crash cannot hide it."""
    await work.desk.record(asked)
    workspace = work.equipment.workspace
    await workspace.adopt(asked.revision)
    source = await workspace.export(asked.revision)
    outcome = await work.equipment.deployer.deploy(asked.deployment, asked.revision, source)
    await work.desk.record(
        DeploymentFinished(
            at=work.desk.now(),
            trial=asked.trial,
            deployment=asked.deployment,
            revision=asked.revision,
            ok=outcome.ok,
            reason=outcome.reason,
            duration_s=outcome.duration_s,
            drained_first=outcome.drained_first,
            source_hash=outcome.source_hash,
        )
    )
    return outcome


def _over(
    under_way: set[asyncio.Task[DeploymentOutcome]], carried_out: asyncio.Task[DeploymentOutcome]
) -> None:
    """A failure is told to the session that waits; when that has left, nobody asks for it."""
    under_way.discard(carried_out)
    if not carried_out.cancelled():
        carried_out.exception()


LIST = Tool(
    name="list_deployments",
    description="""\
List what was deployed before, in this and earlier tickets, the newest first: id, time, revision, \
how it ended, commit message, and with diff: true what it changed.
Limits: the newest 10 if limit says nothing, 100 at most; long diffs are cut.
Example: {"limit": 3, "diff": true}
When a diff is cut, read the files themselves: /srv/app holds the newest state.""",
    arguments=ListArguments,
    run=_list,
    needs="instruments",
)

DEPLOY = Tool(
    name="deploy",
    description="""\
Commit all files of /srv/app as they are and run them: the new process is started, waited for \
until it is healthy, then takes over, and the old one finishes what it has. Answers when that is \
done.
Limits: one deployment at a time; a message is required. An edited requirements file is installed \
only as far as its packages are at hand.
Example: {"message": "Limit the pool to 20 connections: the server allows 25"}
When the new process does not become healthy it is rolled back by itself: the old one goes on \
serving, and the error has the reason and the last log lines. Check before you deploy, such as by \
bash: python3 -m py_compile *.py. A deployment that is healthy need not have helped: look at the \
metrics again before you resolve the ticket.""",
    arguments=DeployArguments,
    run=_deploy,
    effect=changes,
    shown=_shown,
)
