"""Options that commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from campaign.cli.flat import flat


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Two options."""

    first: Annotated[str, typer.Option("--first-colour", help="The first.")]
    second: Annotated[str | None, typer.Option("--second", help="The second.")] = None


SEEN: list[Any] = []


def paint(
    what: Annotated[str, typer.Argument(help="What.")],
    colours: Colours,
    *,
    twice: Annotated[bool, typer.Option("--twice")] = False,
) -> None:
    """Paint it."""
    SEEN.append((what, colours, twice))


@pytest.fixture
def app() -> typer.Typer:
    SEEN.clear()
    app = typer.Typer()
    app.command("paint")(flat(paint))
    return app


def test_every_field_is_an_option_and_comes_back_as_the_dataclass(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["wall", "--first-colour", "red", "--twice"])
    assert told.exit_code == 0, told.output
    ((what, colours, twice),) = SEEN
    assert (what, colours, twice) == ("wall", Colours(first="red"), True)


def test_a_field_without_a_default_is_required(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["wall"])
    assert told.exit_code == 2
    assert "--first-colour" in told.output


def test_the_help_is_the_commands_own(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["--help"])
    assert "Paint it." in told.output
    assert "--second" in told.output
