"""Files of the workspace: read, searched and edited from within the sandbox."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import structlog
from pydantic import Field, model_validator

from operators.toolbox.answer import Answer
from operators.toolbox.errors import ToolError
from operators.toolbox.tool import Arguments, Effect, Tool, Work

_MAX_TEXT_CHARS = 2_000_000
_MAX_PATH_CHARS = 4_096
_TIMED_OUT = 124

log = structlog.get_logger(__name__)

_PATH = "A file or folder of the app: relative to /srv/app, or absolute below it."


class EditorArguments(Arguments):
    """As the text editor tool `text_editor_20250728` takes them."""

    command: Literal["view", "create", "str_replace", "insert"] = Field(
        description="One of: view, create, str_replace, insert."
    )
    path: str = Field(min_length=1, max_length=_MAX_PATH_CHARS, description=_PATH)
    view_range: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None,
        description="For view of a file: first and last line, counted from 1; -1 as the last is "
        "the end of the file. Example: [120, 160].",
    )
    file_text: str | None = Field(
        default=None,
        max_length=_MAX_TEXT_CHARS,
        description="For create, required: the file's whole content.",
    )
    old_str: str | None = Field(
        default=None,
        max_length=_MAX_TEXT_CHARS,
        description="For str_replace, required: the text to be replaced, exactly as in the file, "
        "white space included. It must occur exactly once.",
    )
    new_str: str | None = Field(
        default=None,
        max_length=_MAX_TEXT_CHARS,
        description="For str_replace: what takes its place; left out, the text is deleted.",
    )
    insert_line: int | None = Field(
        default=None,
        ge=0,
        description="For insert, required: the line after which to insert; 0 is the beginning.",
    )
    insert_text: str | None = Field(
        default=None,
        max_length=_MAX_TEXT_CHARS,
        description="For insert, required: the lines to insert.",
    )

    @model_validator(mode="after")
    def _complete(self) -> EditorArguments:
        needed = {
            "create": (("file_text", self.file_text),),
            "str_replace": (("old_str", self.old_str),),
            "insert": (("insert_line", self.insert_line), ("insert_text", self.inserted)),
        }
        missing = [name for name, given in needed.get(self.command, ()) if given is None]
        if missing:
            raise ValueError(f"{self.command} needs {' and '.join(missing)}")
        if self.command == "str_replace" and not self.old_str:
            raise ValueError("old_str is empty: name the text to be replaced, or use insert")
        if self.command == "str_replace" and self.old_str == self.new_str:
            raise ValueError("old_str and new_str are the same: nothing would change")
        return self

    @property
    def inserted(self) -> str | None:
        """An older form of the tool called it new_str."""
        return self.insert_text if self.insert_text is not None else self.new_str

    def asked(self) -> dict[str, Any]:
        """As the script inside takes it."""
        return {
            "command": self.command,
            "path": self.path,
            "view_range": self.view_range,
            "file_text": self.file_text,
            "old_str": self.old_str,
            "new_str": self.new_str or "",
            "insert_line": self.insert_line,
            "insert_text": self.inserted,
        }


class SearchArguments(Arguments):
    """What is looked for, and where."""

    pattern: str = Field(
        min_length=1,
        max_length=1_000,
        description=r"A regular expression (Python's), looked for in each line. "
        r"Example: def \w+_user\(",
    )
    path: str = Field(
        default=".",
        min_length=1,
        max_length=_MAX_PATH_CHARS,
        description=f"Where to look. {_PATH} Left out: everywhere.",
    )
    glob: str | None = Field(
        default=None,
        max_length=_MAX_PATH_CHARS,
        description="Only files whose name, or path below `path`, matches. Example: *.py",
    )
    max_results: int = Field(
        default=100, ge=1, le=1_000, description="The most matching lines to show: 1 to 1000."
    )


async def _edit(work: Work, arguments: EditorArguments) -> Answer:
    return await _ask(work, arguments.asked())


async def _search(work: Work, arguments: SearchArguments) -> Answer:
    return await _ask(work, {"command": "search", **arguments.model_dump()})


@cache
def _script() -> str:
    return files("operators.toolbox").joinpath("inside.py").read_text(encoding="utf-8")


async def _ask(work: Work, asked: dict[str, Any]) -> Answer:
    """Let the script do it.

    Raises:
        ToolError: in its words.
        PermissionError: the path leads out of the workspace.
    """
    ended = await work.equipment.sandbox.run(
        ("python3", "-I", "-c", _script()), stdin=json.dumps(asked).encode()
    )
    if ended.exit_code == _TIMED_OUT:
        raise ToolError("it took too long and was ended: ask for less, or use bash")
    answered = _last_line(ended.output) if ended.exit_code == 0 else None
    if answered is None:
        # What it printed may tell of the machine; it is for our log only.
        log.warning("files_script_failed", exit_code=ended.exit_code, output=ended.output[-2_000:])
        raise ToolError(
            "the workspace could not be used: see with bash whether /srv/app is there, can be "
            "entered and has space (ls -la /srv/app; df /srv/app), then try again"
        )
    if "outside" in answered:
        raise PermissionError(
            f"{answered['outside']} is outside of /srv/app: paths are relative to it or absolute "
            "below it, and neither .. nor a link may lead out"
        )
    if "error" in answered:
        raise ToolError(answered["error"])
    return Answer(
        text=answered.get("text", ""),
        diff=answered.get("diff", ""),
        diff_cut="diff_cut" in answered,
    )


def _last_line(output: str) -> dict[str, str] | None:
    try:
        answered = json.loads(output.rstrip("\n").rpartition("\n")[2])
    except ValueError:
        return None
    return answered if isinstance(answered, dict) else None


def _effect(arguments: EditorArguments) -> Effect:
    return Effect.READS if arguments.command == "view" else Effect.CHANGES


EDITOR = Tool(
    name="str_replace_based_edit_tool",
    description="""\
View, create and edit the app's files. The service's source is in /srv/app; what you change there \
runs only after `deploy`.
- view: a file with its lines numbered (all, or view_range), or a folder's files two levels deep.
- str_replace: replaces old_str, which must occur exactly once in the file, by new_str.
- insert: puts insert_text after line insert_line (0: at the beginning).
- create: writes file_text as a new file, or over an existing one; missing folders are made.
Limits: files of at most 4 MiB; about 40 kB are shown at a time, the rest by view_range; binary \
files are not shown. Line numbers are no part of the file: leave them out of old_str.
Example: {"command": "str_replace", "path": "main.py", "old_str": "timeout=30", "new_str": \
"timeout=5"}
When it fails nothing was changed, and the error says why: view the file again, and copy the text \
exactly, with enough of its surroundings to occur once.""",
    arguments=EditorArguments,
    run=_edit,
    effect=_effect,
)

SEARCH = Tool(
    name="search_files",
    description="""\
Search the app's files for a regular expression, line by line; answers with path:line: text.
Limits: max_results lines (100 if not given, at most 1000); binary files and files over 4 MiB are \
passed over, links to folders are not followed; at most 25 s.
Example: {"pattern": "SELECT .* FROM messages", "glob": "*.py"}
When there are too many matches, narrow it by path, glob or pattern; when there are none, try a \
shorter pattern: (?i) at its beginning ignores case.""",
    arguments=SearchArguments,
    run=_search,
)
