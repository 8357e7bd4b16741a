"""Changing files by a patch: for operators that know their edit beforehand."""

from __future__ import annotations

from pydantic import Field

from operators.toolbox.answer import Answer
from operators.toolbox.errors import ToolError
from operators.toolbox.tool import Arguments, Tool, Work, changes


class PatchArguments(Arguments):
    """What is changed."""

    patch: str = Field(description="A unified diff, with paths as git writes them.")


async def _apply(work: Work, arguments: PatchArguments) -> Answer:
    run, patch = work.equipment.sandbox.run, arguments.patch.encode()
    applied = await run(("git", "apply", "--whitespace=nowarn", "-"), stdin=patch)
    if applied.exit_code == 0:
        return Answer(text="applied", diff=arguments.patch)
    undone = await run(("git", "apply", "--reverse", "--check", "-"), stdin=patch)
    if undone.exit_code == 0:
        return Answer(text="already applied")
    raise ToolError(f"the patch does not apply: {applied.output.strip()}")


PATCH = Tool(
    name="apply_patch",
    description="Change files by a unified diff; one already applied is left as it is.",
    arguments=PatchArguments,
    run=_apply,
    effect=changes,
)
