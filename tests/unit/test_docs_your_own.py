"""What docs/your-own-app.md prints is complete: written to files, it is a target with a profile."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from campaign.orders import Order, specify
from chaos_profiles import PROFILES_VARIABLE, load_target_data
from loadgen.backlog import Arrival
from loadgen.calls import Call
from loadgen.clients import load_clients
from loadgen.dice import Dice
from tests.docs_kit import write_own_app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(PROFILES_VARIABLE, str(tmp_path))
    return write_own_app(tmp_path)


@pytest.mark.usefixtures("folder")
def test_it_can_be_played() -> None:
    spec = specify(Order(target="notes"))
    assert [profile.id for profile in spec.profiles] == ["slow_notes"]
    assert spec.catalogue.target.name == "notes"


def test_its_clients_ask_for_what_the_app_serves(folder: Path) -> None:
    (canary,) = load_clients(str(folder / "notes" / "clients.py"))
    behaviour = canary(
        params=canary.params_model.model_validate({"users": [7, 1]}), remember=lambda *_: None
    )
    roll = Dice(seed=1, dimension="x").roll(user=0, index=0)
    call = behaviour.call(Arrival(user=0, index=0, roll=roll))
    assert isinstance(call, Call)
    assert call.wire.startswith(b"GET /notes HTTP/1.1\r\nHost: app\r\nX-User-Id: 7\r\n")
    call.accept(b'{"notes": []}')


def test_its_rows_fit_its_table(folder: Path) -> None:
    (table,) = load_target_data(folder / "notes").seed()
    rows = list(table.rows)
    assert (len(rows), {len(row) for row in rows}) == (2000, {len(table.columns)})
    assert len({row[0] for row in rows}) == len(rows)


def test_its_fix_leaves_an_app_that_compiles(folder: Path) -> None:
    app = folder / "apps" / "notes"
    fix = folder / "notes" / "01_slow_notes" / "fix.patch"
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(app.parent)}
    subprocess.run(["git", "apply", str(fix)], cwd=app, env=environment, check=True)
    compile((app / "main.py").read_text(), "main.py", "exec")
