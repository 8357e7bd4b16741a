"""`ratchet profiles verify`, with a simulated world in place of a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import typer
from typer.testing import CliRunner, Result

from campaign.cli import verify as command
from campaign.machine import Campaign
from campaign.orders import Order
from campaign.player import Performance
from campaign.testing import CALIBRATION
from chaos_profiles import Catalogue
from tests.verification_kit import Lab, make_catalogue, make_spec

Verify = Callable[..., Result]

app = typer.Typer()
command.register(app)
app.command("other")(lambda: None)


class FakeHost:
    """Stands in for `campaign.host.Host`."""

    lab = Lab()

    def __init__(self, root: Path) -> None:
        self.root = root

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def play(self, performance: Performance) -> Campaign:
        return await FakeHost.lab.play(performance)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return make_catalogue(tmp_path / "profiles")


@pytest.fixture
def orders() -> list[Order]:
    return []


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def verify(
    monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue, orders: list[Order], runs: Path
) -> Verify:
    def specify(order: Order) -> Any:
        orders.append(order)
        return make_spec(catalogue)

    monkeypatch.setattr(command, "Host", FakeHost)
    monkeypatch.setattr(command, "specify", specify)
    monkeypatch.setattr(command, "require_ready", lambda _: "")

    def run(*arguments: str, lab: Lab | None = None) -> Result:
        FakeHost.lab = lab or Lab()
        return CliRunner().invoke(app, ["verify", "--runs", str(runs), *arguments])

    return run


def evidence(runs: Path) -> dict[str, Any]:
    (file,) = runs.glob("verify-*/evidence.json")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_it_ends_with_one_object_that_is_also_on_disk(verify: Verify, runs: Path) -> None:
    done = verify("--json", "--repeats", "1")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told == evidence(runs)
    assert [(p["profile"], p["proven"], p["problems"]) for p in told["profiles"]] == [
        ("p0", True, []),
        ("p1", True, []),
    ]
    for profile in told["profiles"]:
        assert [len(profile[kind]) for kind in ("red", "green", "hacks")] == [1, 1, 2]
        (red,), (green,) = profile["red"][0]["measured"], profile["green"][0]["measured"]
        assert red["value"] > red["limit"] > green["value"]
        assert [hack["caught_by"] for hack in profile["hacks"]] == ["invariant", "invariant"]
        assert profile["others"]["verdict"] == "unresolved"
        assert profile["all_fixes"]["verdict"] == "immune"
    assert told["complete"]
    assert told["calibration"]["healthy_p95_s"] == CALIBRATION.healthy_p95_s
    assert "p0 green 1: p0_latency 0, margin all" in done.stderr


def test_it_repeats_three_times_unless_it_is_quick(verify: Verify) -> None:
    told = json.loads(verify("--json").stdout)
    assert told["repeats"] == 3
    assert [len(told["profiles"][0][kind]) for kind in ("red", "green")] == [3, 3]
    told = json.loads(verify("--json", "--quick").stdout)
    assert (told["repeats"], told["quick"]) == (1, True)
    assert told["profiles"][0]["hacks"] == []
    assert told["profiles"][0]["others"] is None
    assert told["profiles"][0]["proven"]


def test_only_those_that_are_named_are_asked_for(verify: Verify, orders: list[Order]) -> None:
    verify("--quick", "--profile", "p0, p1", "--target", "simulated")
    assert orders[0].profiles == ("p0", "p1")
    assert (orders[0].target, orders[0].mode) == ("simulated", "isolated")


def test_without_json_there_is_a_table_and_where_the_evidence_is(
    verify: Verify, runs: Path
) -> None:
    done = verify("--quick")
    assert done.exit_code == 0
    assert "proven" in done.stdout
    (file,) = runs.glob("verify-*/evidence.json")
    assert f"evidence: {file}" in done.stderr


def test_what_is_not_proven_is_told_and_is_no_success(verify: Verify, catalogue: Catalogue) -> None:
    catalogue.fix_patch(catalogue.profiles[1]).write_text("changes nothing")
    done = verify("--quick")
    assert done.exit_code == 1
    assert "p1: green 1: not held: p1_latency" in done.stderr


def test_what_the_harness_could_not_judge_is_no_success(verify: Verify) -> None:
    assert verify("--quick", lab=Lab(starved=frozenset({1, 2}))).exit_code == 1


def test_stopped_it_keeps_what_is_proven_so_far(verify: Verify, runs: Path) -> None:
    done = verify("--quick", "--json", lab=Lab(stopped={1: 2}))
    assert done.exit_code == 130
    told = json.loads(done.stdout)
    assert told == evidence(runs)
    assert not told["complete"]
    assert [profile["proven"] for profile in told["profiles"]] == [True, False]


def test_a_crash_keeps_what_is_proven_so_far(
    verify: Verify, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(performance: Performance) -> Campaign:
        lab = Lab(stopped={1: 2})
        await lab.play(performance)
        raise RuntimeError("gone")

    monkeypatch.setattr(FakeHost, "play", staticmethod(crash))
    done = verify("--quick")
    assert isinstance(done.exception, RuntimeError)
    assert [profile["proven"] for profile in evidence(runs)["profiles"]] == [True, False]
