"""Who plays a campaign, what is looked at first, and what is said of joining it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from typer.testing import CliRunner

from campaign.addresses import Address
from campaign.api_client import ApiClient
from campaign.cli import playing, replay
from campaign.cli.app import app
from campaign.cli.playing import How, play_there, require_operator
from campaign.errors import RatchetError, UsageError
from campaign.model import Budget, Plan
from campaign.runs import RunFolder
from campaign.seats import Register, how_to_join
from campaign.testing import make_plan

HOW = How(as_json=False, hold=False, sandbox=True, here=False)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sandbox, without keys or settings of whoever runs the tests."""
    monkeypatch.setattr(playing, "why_no_sandbox", lambda: "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(path=tmp_path / "runs" / "one")


def plan_of(operator: str, **budget: Any) -> Plan:
    return replace(make_plan(1, operator=operator), budget=Budget(**budget))


# -- --dry-run ----------------------------------------------------------------------------------


def refusal(*words: str | Path) -> RatchetError:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(done.exception, RatchetError), done.output
    return done.exception


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--operator", "claude"), "operator claude cannot begin"),
        (("--operator", "command", "--agent", "no-such"), "no-such"),
        (("--operator", "external", "--budget-usd", "3"), "--budget-usd 3 cannot be kept"),
        (("--operator", "external", "--no-sandbox"), "may not work without a sandbox"),
        (("--operator", "replay", "--recording", "gone"), "no campaign gone"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would_refuse(
    tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    runs = tmp_path / "runs"
    assert told in str(refusal("run", "--first", "1", *words, "--dry-run", "--runs", runs))
    assert not runs.exists()


def test_a_scripted_operator_needs_nothing_to_be_looked_at(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start() -> NoReturn:
        pytest.fail("started a sandbox")

    monkeypatch.setattr(playing, "why_no_sandbox", start)
    require_operator(run, plan_of("reference", usd=1.0), HOW)


def test_without_a_sandbox_here_an_agent_is_refused_with_the_reason(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playing, "why_no_sandbox", lambda: "needs Linux")
    with pytest.raises(UsageError, match="needs Linux"):
        require_operator(run, plan_of("external"), HOW)
    require_operator(run, plan_of("external"), replace(HOW, allow_unsandboxed_operator=True))


# -- joining ------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class FakeDaemon:
    address: Address = field(
        default_factory=lambda: Address(url="http://127.0.0.1:1", token="secret", pid=7)  # noqa: S106
    )
    asked: list[str] = field(default_factory=list)

    async def start(self, order: Mapping[str, Any]) -> None:
        self.asked.append(str(order["name"]))

    async def act(self, name: str, action: str) -> None:
        self.asked.append(f"{action} {name}")


class _LeftError(Exception):
    """The campaign is over."""


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    async def follow(*_: object) -> None:
        await asyncio.sleep(0)

    def leave(*_: object, **__: object) -> NoReturn:
        raise _LeftError

    monkeypatch.setattr(playing, "follow", follow)
    monkeypatch.setattr(playing, "leave", leave)
    return FakeDaemon()


@pytest.mark.parametrize("order", [{}, None], ids=["new", "resumed"])
def test_a_campaign_that_a_daemon_plays_says_how_to_join_it(
    daemon: FakeDaemon,
    run: RunFolder,
    order: Mapping[str, Any] | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(_LeftError):
        play_there(cast("ApiClient", daemon), run, order, HOW, operator="external")
    told = capsys.readouterr().err
    assert f"ratchet operator shell --runs {run.path.parent}\n" in told
    assert f"ratchet operator invite --runs {run.path.parent}\n" in told
    assert "secret" not in told
    assert ("join again" in told) == (order is None)


def test_nobody_joins_a_campaign_that_has_an_operator(
    daemon: FakeDaemon, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(_LeftError):
        play_there(cast("ApiClient", daemon), run, {}, HOW, operator="claude")
    assert "ratchet operator" not in capsys.readouterr().err
    assert daemon.asked == ["one"]


def test_what_is_printed_of_joining_leads_to_commands_and_to_no_file() -> None:
    register = Register(campaign="one", url="http://127.0.0.1:1")
    fresh, again = how_to_join(register), how_to_join(register, is_resumed=True)
    assert again[1:] == fresh
    assert "the address and all tokens are new" in again[0]
    assert ".md" not in "".join(again)


# -- ratchet replay -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "recording"),
    [((), "past"), (("--recording", "other"), "other")],
)
def test_a_replayed_trial_is_replayed_from_its_own_campaign(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    recording: str,
) -> None:
    chosen: list[Any] = []

    async def nothing(*_: object, **__: object) -> None: ...

    def plan_of(*_: object, choices: Any, **__: object) -> NoReturn:
        chosen.append(choices.recording)
        raise _LeftError

    monkeypatch.setattr(replay, "find_run", lambda runs, name: RunFolder(path=runs / name))
    monkeypatch.setattr(replay, "read_events", nothing)
    monkeypatch.setattr(replay, "recorded", lambda *_: make_recorded())
    monkeypatch.setattr(replay, "_require_snapshot", lambda *_: None)
    monkeypatch.setattr(replay, "plan_of", plan_of)
    said = ["replay", "past", "1", "--operator", "replay", *words, "--runs", str(tmp_path)]
    assert isinstance(CliRunner().invoke(app, said).exception, _LeftError)
    assert chosen == [recording]


def make_recorded() -> Any:
    @dataclass
    class Recorded:
        beginning: Any

    @dataclass
    class Beginning:
        plan: Plan

    return Recorded(beginning=Beginning(plan=make_plan(1)))


# -- help ---------------------------------------------------------------------------------------


def test_every_exit_code_is_told_by_help() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    for code in (
        "0 done",
        "1 a trial",
        "2 wrong",
        "3 the harness",
        "4 the operator",
        "130 stopped",
    ):
        assert code in shown
