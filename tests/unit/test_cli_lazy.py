"""A command imports what it needs itself, and nobody sees that it did not before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from campaign.cli import app as root
from campaign.cli import lazy, operator, profiles
from chaos_profiles import PROFILES_VARIABLE

ROOT = Path(__file__).parents[2]
#: libraries, and packages of ours, that take long to import; pydantic is not: typer needs it
HEAVY = frozenset(
    {
        "aiohttp",
        "alembic",
        "anthropic",
        "asyncpg",
        "campaign.host",
        "campaign.stack",
        "jinja2",
        "mcp",
        "operators",
        "prometheus_client",
        "schemathesis",
        "sqlalchemy",
    }
)
JOURNAL = frozenset({"alembic", "sqlalchemy"})

COMMANDS = (
    "run",
    "trial",
    "resume",
    "replay",
    "immunity",
    "status",
    "watch",
    "report",
    "pause",
    "continue",
    "stop",
    "doctor",
    "serve",
    "up",
    "profiles",
    "operator",
)


def imported_by(*arguments: str) -> set[str]:
    """What is imported once the command, which has to end by itself, has ended."""
    code = (
        f"import atexit, sys; sys.argv = {['ratchet', *arguments]!r}\n"
        "atexit.register(lambda: print('modules:', *sys.modules, file=sys.stderr))\n"
        "from campaign.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    _, found, modules = done.stderr.rpartition("modules: ")
    assert found, done.stderr
    return set(modules.split())


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["no-such-command"], frozenset[str]()),
        (["status", "--help"], JOURNAL | {"jinja2"}),
        (["pause", "--help"], frozenset({"aiohttp"})),
        (["operator", "tools", "--help"], frozenset({"aiohttp"})),
        (["operator", "wait", "--runs", "no-such-folder"], frozenset({"aiohttp"})),
    ],
    ids=lambda words: " ".join(words if isinstance(words, list) else sorted(words)),
)
def test_a_light_command_imports_no_heavy_module_that_it_does_not_need(
    arguments: Sequence[str], allowed: frozenset[str]
) -> None:
    imported = imported_by(*arguments)
    assert "campaign.cli.app" in imported
    assert HEAVY & imported <= allowed


def test_a_heavy_command_imports_what_a_light_one_does_not() -> None:
    """Else the names above would say nothing."""
    assert imported_by("run", "--help") >= HEAVY - {"anthropic", "mcp", "schemathesis"}


def test_help_lists_every_command_in_its_order_with_its_own_help() -> None:
    shown = CliRunner().invoke(root.app, ["--help"], env={"COLUMNS": "200"}).output
    lines = [line.strip("│ ").split(None, 1) for line in shown.splitlines() if "│" in line]
    helps = {words[0]: words[1] for words in lines if words and words[0] in COMMANDS}
    assert tuple(helps) == COMMANDS
    for name, command in commands_of(root.app).items():
        assert command.help.startswith(helps[name].partition("  ")[0]), name


TABLES: Sequence[tuple[typer.Typer, Mapping[str, Sequence[str]]]] = (
    (root.app, root._COMMANDS),
    (operator._app, operator._COMMANDS),
    (profiles._app, profiles._COMMANDS),
)


@pytest.mark.parametrize(
    ("module", "names"),
    [pytest.param(*entry, id=entry[0]) for _, table in TABLES for entry in table.items()],
)
def test_a_module_has_the_commands_that_are_named_beside_it(
    module: str, names: Sequence[str]
) -> None:
    assert tuple(lazy.registered(module)) == tuple(names)


def test_no_command_is_named_twice() -> None:
    for _, table in TABLES:
        names = [name for names in table.values() for name in names]
        assert len(names) == len(set(names))


def test_a_mistyped_command_is_told_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match=r"No such command 'statsu'\. Did you mean 'status'\?"):
        root.app(["statsu"], standalone_mode=False)
    assert capsys.readouterr() == ("", "")


def test_what_goes_wrong_in_a_module_is_not_taken_for_an_unknown_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong_module.py").write_text("{}['missing']")
    monkeypatch.syspath_prepend(tmp_path)
    app = typer.Typer(cls=lazy.lazy_group({"wrong_module": ("go",)}))
    app.callback()(lambda: None)
    with pytest.raises(KeyError, match="missing"):
        app(["go"], standalone_mode=False)


def test_the_commands_variable_is_the_profiles_own() -> None:
    assert root._PROFILES_VARIABLE == PROFILES_VARIABLE


def commands_of(app: typer.Typer) -> Mapping[str, Any]:
    command = cast("Any", typer.main.get_command(app))
    assert list(command.list_commands(None)) == list(command.commands)
    return cast("Mapping[str, Any]", command.commands)
