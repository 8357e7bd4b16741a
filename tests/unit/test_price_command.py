"""`ratchet operator price`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from campaign.cli import operator_price
from campaign.errors import UsageError
from tests.trace_kit import OWN_PRICES as OWN

app = typer.Typer()
operator_price.register(app)
app.command("other")(lambda: None)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_the_table_in_force_is_shown_with_its_source() -> None:
    done = CliRunner().invoke(app, ["price"])
    assert done.exit_code == 0, done.output
    assert "2026-11-12" in done.output
    assert "claude-opus-4-8" in done.output


def test_a_table_can_be_taken_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(OWN)
    done = CliRunner().invoke(app, ["price", "--update-from", str(file), "--json"])
    assert done.exit_code == 0, done.output
    tables = json.loads(done.stdout)["tables"]
    assert [table["date"] for table in tables] == ["2027-01-02", "2026-11-12"]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["price", "--update-from", str(tmp_path / "none.yaml")])
    assert isinstance(done.exception, UsageError)
    assert "does not exist" in str(done.exception)
