"""What a tool call was for: one rule, by the tool's name and its arguments.

docs/traces.md has it as a table. It reads names, not minds: a command that does several things has
the class of what weighs most (edit, database, verify, metrics, logs, code).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from operators.trace.document import ToolClass
from operators.trace.shell_words import Run, in_workspace, runs

_MCP = re.compile(r"^mcp__.+?__(?=\w)")

#: by the tool's name, for tools that are for one thing only
_BY_NAME: Mapping[str, ToolClass] = MappingProxyType(
    {
        "read_logs": ToolClass.LOGS,
        "sql": ToolClass.DATABASE,
        "list_metrics": ToolClass.METRICS,
        "search_files": ToolClass.CODE,
        "list_deployments": ToolClass.CODE,
        "apply_patch": ToolClass.EDIT,
        "deploy": ToolClass.DEPLOY,
        # Claude Code's
        "Grep": ToolClass.CODE,
        "Glob": ToolClass.CODE,
        "LS": ToolClass.CODE,
        "NotebookRead": ToolClass.CODE,
        "Edit": ToolClass.EDIT,
        "MultiEdit": ToolClass.EDIT,
        "Write": ToolClass.EDIT,
        "NotebookEdit": ToolClass.EDIT,
        "BashOutput": ToolClass.CODE,
    }
)
#: how the service does: metrics at first, verify once a change is deployed
_OBSERVING = frozenset({"query_metrics", "http_request"})
_SHELLS = frozenset({"bash", "Bash", "shell", "exec", "local_shell"})
_EDITORS = frozenset({"str_replace_based_edit_tool", "str_replace_editor"})

_EDITING = frozenset({"tee", "patch", "ed", "mv", "cp", "rm", "touch", "mkdir", "truncate", "ln"})
_GIT_EDITING = frozenset({"apply", "checkout", "restore", "stash", "reset", "revert", "rm", "mv"})
_DATABASE = frozenset({"psql", "pgcli", "pg_dump", "pg_isready", "pgbench", "vacuumdb", "sqlite3"})
_HTTP = frozenset({"curl", "wget", "http", "https", "ab", "hey", "wrk", "siege"})
_LOGGING = frozenset({"journalctl", "dmesg", "logcat"})
_TESTING = frozenset({"pytest", "tox", "nox", "mypy", "ruff", "flake8", "pyflakes", "py_compile"})
_TEST_MODULES = frozenset({"pytest", "unittest", "py_compile", "compileall", "mypy", "ruff"})
_READING = frozenset({"cat", "tail", "head", "less", "more", "grep", "egrep", "zgrep", "rg", "awk"})

_SQL = re.compile(
    r"\b(explain\s+(analyze|\(|select|update|insert|delete)|pg_stat_\w+|asyncpg|psycopg)",
    re.IGNORECASE,
)
_LOG_FILE = re.compile(r"(\.log\b|/logs?/)")
_PYTHON = re.compile(r"^python[\d.]*$")
_WRITING_CODE = re.compile(
    r"(\.write_(text|bytes)\(|open\([^)]{0,300},\s*(mode\s*=\s*)?['\"][wax+]|shutil\.(copy|move))"
)
_SEARCHED = 4_000
_IN_PLACE = re.compile(r"^-[a-zA-Z]*i|^--in-place")

#: what weighs most comes first
_WEIGHT = (
    ToolClass.EDIT,
    ToolClass.DATABASE,
    ToolClass.VERIFY,
    ToolClass.METRICS,
    ToolClass.LOGS,
    ToolClass.CODE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """What programs that stand in a command seem to do."""

    asks_database: bool
    writes: bool

    @classmethod
    def of(cls, command: str) -> _Code:
        """By its beginning and its end: an operator could keep us busy with a long one."""
        shown = f"{command[:_SEARCHED]}\n{command[_SEARCHED:][-_SEARCHED:]}"
        return cls(
            asks_database=_SQL.search(shown) is not None,
            writes=_WRITING_CODE.search(shown) is not None,
        )


def tool_class(tool: str, arguments: Mapping[str, Any], *, deployed: bool) -> ToolClass:
    """The class of one call.

    Args:
        tool: its name; `mcp__<server>__` before it is left out.
        arguments: of the call.
        deployed: this session has deployed, and edited nothing since.
    """
    name = _MCP.sub("", tool)
    observing = ToolClass.VERIFY if deployed else ToolClass.METRICS
    if name in _OBSERVING:
        return observing
    if name in _SHELLS:
        return command_class(_command(arguments), deployed=deployed)
    if name in _EDITORS:
        return ToolClass.CODE if arguments.get("command") == "view" else ToolClass.EDIT
    if name == "Read":
        path = str(arguments.get("file_path", ""))
        return ToolClass.LOGS if _LOG_FILE.search(path) else ToolClass.CODE
    if name == "read_ticket" and deployed:
        return ToolClass.VERIFY
    return _BY_NAME.get(name, ToolClass.OTHER)


def command_class(command: str, *, deployed: bool) -> ToolClass:
    """The class of a shell command."""
    if not command.strip():
        return ToolClass.OTHER
    code = _Code.of(command)
    found = {_run_class(run, code, deployed=deployed) for run in runs(command)}
    return next((kind for kind in _WEIGHT if kind in found), ToolClass.CODE)


def _command(arguments: Mapping[str, Any]) -> str:
    """A text, or a list of words as some agents have it: `["bash", "-lc", "…"]`."""
    command = arguments.get("command", arguments.get("cmd", ""))
    if isinstance(command, Sequence) and not isinstance(command, str):
        words = [str(word) for word in command]
        is_shell = len(words) > 1 and words[0].rpartition("/")[2] in {"bash", "sh", "zsh"}
        return words[-1] if is_shell else " ".join(words)
    return str(command)


def _run_class(run: Run, code: _Code, *, deployed: bool) -> ToolClass:
    if _edits(run, code):
        return ToolClass.EDIT
    if run.program in _DATABASE or (_is_code(run) and code.asks_database):
        return ToolClass.DATABASE
    if _tests(run):
        return ToolClass.VERIFY
    if run.program in _HTTP:
        return ToolClass.VERIFY if deployed else ToolClass.METRICS
    if run.program in _LOGGING or (
        run.program in _READING and any(_LOG_FILE.search(word) for word in run.arguments)
    ):
        return ToolClass.LOGS
    return ToolClass.CODE


def _is_code(run: Run) -> bool:
    return bool(_PYTHON.match(run.program)) or run.program in {"perl", "ruby", "node"}


def _edits(run: Run, code: _Code) -> bool:
    if run.writes:
        return True
    if run.program in _EDITING:
        files = [word for word in run.arguments if not word.startswith("-")]
        return not files or any(in_workspace(file) for file in files)
    if run.program in {"sed", "perl", "gawk"}:
        return any(_IN_PLACE.match(word) for word in run.arguments)
    if run.program == "git":
        return bool(run.arguments) and run.arguments[0] in _GIT_EDITING
    return _is_code(run) and code.writes


def _tests(run: Run) -> bool:
    if run.program in _TESTING:
        return True
    if run.program == "make":
        return any(word in {"test", "check", "lint"} for word in run.arguments)
    return _is_code(run) and any(
        flag == "-m" and module in _TEST_MODULES
        for flag, module in zip(run.arguments, run.arguments[1:], strict=False)
    )
