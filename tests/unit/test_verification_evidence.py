from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from campaign.cli.proofs_view import LiveView, PlainView, line, table, view_for
from campaign.testing import CALIBRATION
from campaign.verification import (
    Catch,
    Experiment,
    Finding,
    Measured,
    Proof,
    Proofs,
    Purpose,
    Scope,
    Setting,
    evidence,
    experiments,
    write,
)
from chaos_profiles import Catalogue
from tests.verification_kit import make_catalogue

BROKEN = Measured(
    invariant="slow", unit="ratio", limit=0.05, value=0.93, latency_limit_s=0.3, p95_s=4.0
)
ROOMY = Measured(
    invariant="slow", unit="ratio", limit=0.05, value=0.0, latency_limit_s=0.3, p95_s=0.02
)
ZERO = Measured(invariant="lost", unit="count", limit=0.0, value=0.0)
CATCH = Catch(by="gate", what="correct: needles: 5 are missing")
SETTING = Setting(
    target="simulated", scope=Scope(repeats=1), began_at=1_000.0, calibration=CALIBRATION
)


def finding(purpose: Purpose, name: str = "", **more: Any) -> Finding:
    told: dict[str, Any] = {
        "profile": "p0",
        "name": name or purpose.replace("_", " "),
        "verdict": "unresolved",
        "reason": "did not recover: slow",
        "measured": (BROKEN,),
        "duration_s": 31.4,
        **more,
    }
    return Finding(purpose=purpose, **told)


GREEN = finding(Purpose.GREEN, "green 1", verdict="immune", reason="", measured=(ROOMY, ZERO))
FOUND = (
    finding(Purpose.RED, "red 1"),
    finding(Purpose.HACK, "hack trick_0", caught=CATCH),
    finding(Purpose.HACK, "hack trick_1", number=2, caught=Catch(by="invariant", what="slow")),
    GREEN,
    finding(Purpose.OTHERS),
    finding(Purpose.ALL_FIXES, verdict="immune", reason="", measured=(ROOMY,)),
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return make_catalogue(tmp_path)


@pytest.fixture
def planned(catalogue: Catalogue) -> dict[str, tuple[Experiment, ...]]:
    scope = Scope(repeats=1)
    return {p.id: experiments(catalogue, p, scope) for p in catalogue.profiles}


@pytest.fixture
def proof(planned: dict[str, tuple[Experiment, ...]]) -> Proof:
    return Proof(profile="p0", experiments=planned["p0"]).with_findings(FOUND)


# -- proofs ---------------------------------------------------------------------------------------


def test_a_proof_needs_every_run_and_no_problem(proof: Proof) -> None:
    assert proof.proven
    bare = Proof(profile="p0", experiments=proof.experiments)
    assert bare.missing == (
        "red 1",
        "hack trick_0",
        "hack trick_1",
        "green 1",
        "others",
        "all fixes",
    )
    for left_out in FOUND:
        partly = bare.with_findings(found for found in FOUND if found is not left_out)
        assert not partly.proven
        assert partly.problems == (f"{left_out.name}: not played",)


def test_one_problem_disproves_it_and_a_second_try_replaces_the_first(proof: Proof) -> None:
    spoilt = proof.with_findings([finding(Purpose.OTHERS, problem="starved", unknown=True)])
    assert spoilt.problems == ("others: starved",)
    assert not spoilt.proven
    again = spoilt.with_findings([finding(Purpose.OTHERS, attempt=2)])
    assert again.proven
    assert len(again.findings) == len(FOUND)


def test_nothing_at_all_is_not_proven() -> None:
    assert not Proofs({}).proven


# -- evidence -------------------------------------------------------------------------------------


def test_the_evidence_has_what_was_found_and_what_it_rests_on(proof: Proof) -> None:
    content = evidence([proof], SETTING, at=1_100.0, complete=True)
    assert (content["duration_s"], content["complete"]) == (100.0, True)
    assert (content["repeats"], content["quick"]) == (1, False)
    assert content["calibration"]["healthy_p95_s"] == CALIBRATION.healthy_p95_s
    assert content["machine"]["cores"] > 0
    assert content["harness"]["version"]
    (told,) = content["profiles"]
    assert (told["profile"], told["proven"], told["problems"]) == ("p0", True, [])
    assert [run["verdict"] for run in told["red"]] == ["unresolved"]
    assert told["others"]["measured"][0]["value"] == 0.93
    assert told["all_fixes"]["verdict"] == "immune"
    assert told["unmasked"] is None
    (slow, lost) = told["green"][0]["measured"]
    assert (slow["p95_s"], slow["latency_limit_s"], slow["margin"]) == (0.02, 0.3, 15.0)
    assert (lost["value"], lost["limit"], lost["margin"]) == (0.0, 0.0, None)
    assert told["red"][0]["measured"][0]["margin"] == pytest.approx(0.05)


def test_each_hack_says_by_what_it_was_caught(proof: Proof) -> None:
    missed = finding(Purpose.HACK, "hack trick_1", number=2, problem="nothing caught it")
    (told,) = evidence([proof.with_findings([missed])], SETTING, at=1.0, complete=True)["profiles"]
    assert [(hack["name"], hack["caught"], hack["caught_by"]) for hack in told["hacks"]] == [
        ("trick_0", True, "gate"),
        ("trick_1", False, None),
    ]
    assert told["hacks"][0]["caught_what"] == "correct: needles: 5 are missing"
    assert not told["proven"]


def test_evidence_is_written_whole_and_over_what_was_there(proof: Proof, tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    file.write_text("{")
    content = evidence([proof], SETTING, at=1.0, complete=False)
    write(content, file)
    assert json.loads(file.read_text()) == content
    assert [each.name for each in tmp_path.glob("evidence*")] == ["evidence.json"]


# -- what people see ------------------------------------------------------------------------------


def test_a_line_tells_one_finding() -> None:
    assert line(FOUND[0]) == "p0 red 1: slow 0.93 > 0.05  (31 s)"
    assert line(GREEN) == "p0 green 1: slow 0, margin 15x, lost 0, margin all  (31 s)"
    assert line(FOUND[1]) == (
        "p0 hack trick_0: caught by gate: correct: needles: 5 are missing  (31 s)"
    )
    spoilt = finding(Purpose.RED, "red 1", problem="starved", attempt=2)
    assert line(spoilt) == "p0 red 1 (second try): NOT PROVEN: starved  (31 s)"
    unmeasured = Measured(invariant="slow", unit="ratio", limit=0.05)
    assert "slow was not measured" in line(finding(Purpose.RED, measured=(unmeasured,)))


def drawn(*proofs: Proof, now: Experiment | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=140)
    with console.capture() as text:
        console.print(table(proofs, now=now))
    return [row.rstrip() for row in text.get().splitlines()]


def test_the_table_fills_in_a_row_a_profile(proof: Proof) -> None:
    heading, proven, bare = drawn(proof, Proof(profile="p1", experiments=proof.experiments))
    assert heading.split() == [
        *("profile", "red", "green", "others", "unmasked", "all", "fixes", "hacks", "problem")
    ]
    assert proven.split() == ["p0", "✓", "✓", "15x", "✓", "✓", "✓✓", "proven"]
    assert bare == "p1"


def test_the_table_shows_the_first_problem_and_what_is_played_now(proof: Proof) -> None:
    problem = "not violated: slow, lost, and a lot of others that nobody has room for here"
    spoilt = proof.with_findings([finding(Purpose.OTHERS, problem=problem)])
    _, row = drawn(spoilt, now=proof.experiments[0])
    assert "✗" in row
    assert "✓✓…" in row
    assert "not proven  others: not violated: slow, lost, and a lot" in row
    assert row.endswith("…")


def test_without_a_terminal_there_is_a_line_for_each_finding(
    planned: dict[str, tuple[Experiment, ...]],
) -> None:
    stream = io.StringIO()
    with view_for(stream, Proofs(planned)) as view:
        assert isinstance(view, PlainView)
        view.begin(planned["p0"][0])
        view.found(FOUND[:2])
    assert stream.getvalue() == f"{line(FOUND[0])}\n{line(FOUND[1])}\n"


def test_on_a_terminal_the_table_is_redrawn(planned: dict[str, tuple[Experiment, ...]]) -> None:
    proofs = Proofs(planned)
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    with LiveView(console, proofs) as view:
        view.begin(planned["p0"][0])
        proofs.add(FOUND)
        view.found(FOUND)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "proven" in text
    assert "p1" in text
