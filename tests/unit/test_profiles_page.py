"""docs/profiles.md: what the generator says, and that the page in the tree is not stale."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from campaign.cli import profiles_page as command
from campaign.model import LoadDimension
from campaign.orders import read_catalogue
from campaign.testing import CALIBRATION
from campaign.verification import (
    Catch,
    Finding,
    Measured,
    Proof,
    Purpose,
    Scope,
    Setting,
    evidence,
    experiments,
)
from campaign.verification.document import profiles_page

PAGE = Path(__file__).parents[2] / "docs" / "profiles.md"
CATALOGUE = read_catalogue()
MISSING_INDEX = CATALOGUE.profile("missing_index")

app = typer.Typer()
command.register(app)
app.command("other")(lambda: None)


def measured(*, broken: bool) -> Measured:
    return Measured(
        invariant=MISSING_INDEX.breaks[0],
        unit="ratio",
        limit=0.05,
        value=0.93 if broken else 0.0,
        latency_limit_s=0.3,
        p95_s=4.0 if broken else 0.0124,
    )


def finding(purpose: Purpose, name: str, *, broken: bool = True, **more: Any) -> Finding:
    return Finding(
        profile="missing_index",
        purpose=purpose,
        name=name,
        verdict="unresolved" if broken else "immune",
        reason="",
        measured=(measured(broken=broken),),
        **more,
    )


FOUND = (
    finding(Purpose.RED, "red 1"),
    finding(Purpose.GREEN, "green 1", broken=False),
    finding(Purpose.OTHERS, "others"),
    finding(Purpose.ALL_FIXES, "all fixes", broken=False),
    finding(
        Purpose.HACK,
        "hack returns_nothing",
        caught=Catch(by="gate", what="correct: history: 0 of 3 messages | none"),
    ),
)


def content(*findings: Finding) -> dict[str, Any]:
    scope = Scope(repeats=1)
    proof = Proof(
        profile="missing_index", experiments=experiments(CATALOGUE, MISSING_INDEX, scope)
    ).with_findings(findings)
    setting = Setting(
        target=CATALOGUE.target.name, scope=scope, began_at=1.8e9, calibration=CALIBRATION
    )
    return evidence([proof], setting, at=1.8e9 + 60, complete=True)


def section(page: str, profile: str) -> str:
    """What the page says of one profile."""
    parts = page.split("\n## ")
    (found,) = (part for part in parts if part.startswith(f"{profile} "))
    return found


def test_the_page_in_the_tree_names_every_profile_its_ground_truth_and_its_invariants() -> None:
    """`ratchet profiles page` brings it up to date."""
    page = PAGE.read_text(encoding="utf-8")
    for profile in CATALOGUE.profiles:
        told = section(page, CATALOGUE.folder(profile).name)
        assert profile.title in told
        for name in (*profile.breaks, *profile.anti_patterns):
            assert f"`{name}`" in told
        assert profile.note in told


def test_a_profile_is_told_in_words() -> None:
    load = LoadDimension(
        behaviour="reader", users=20, rate_hz=1.5, params={"max_in_flight": 2, "users": [1, 9]}
    )
    growth = {
        "users": {"first": 1_000_000_000, "count": 1000},
        "messages_per_conversation": 20,
        "first_message_id": 1_000_000_000,
        "needles": {"every": 49},
    }
    profile = replace(MISSING_INDEX, load=(load,), growth=growth)
    told = section(profiles_page(replace(CATALOGUE, profiles=(profile,)), []), "01_missing_index")
    assert told.startswith("01_missing_index Conversations without an index\n")
    assert "*query*: Every look into a conversation scans the whole table of messages." in told
    assert "- **`schema.py:messages_table`**: messages has no index but its primary key" in told
    assert (
        "- **Load**: 20 x reader (`list_messages`): 1.5 a second each, spread out, "
        "at most 2 in flight.\n"
    ) in told
    assert "- **Data**: 1,000 users, 20 messages per conversation, needles (every 49).\n" in told
    assert "Not measured yet." in told


def test_a_note_and_what_masks_it_are_told() -> None:
    profile = replace(
        MISSING_INDEX, note="A call of 10 ms was added.", masked_by=("correlated_subquery",)
    )
    catalogue = replace(CATALOGUE, profiles=(profile,))
    told = section(profiles_page(catalogue, []), "01_missing_index")
    assert "- **Added**: A call of 10 ms was added." in told
    assert "- **Masked by** the fixes of `correlated_subquery`." in told


def test_what_was_measured_is_told_with_its_limits_and_margins() -> None:
    page = profiles_page(CATALOGUE, [content(*FOUND)])
    told = section(page, "01_missing_index")
    assert "| `history_latency` | 5 % slower than 300 ms | 93 % | p95 12.4 ms | 24.2x |" in told
    assert "- With the fixes of all other profiles: unresolved; `history_latency` 93 %." in told
    assert "- With all fixes: immune; `history_latency` 0 %." in told
    assert (
        "| returns nothing | unresolved | gate: correct: history: 0 of 3 messages \\| none |"
        in told
    )
    assert "Measured on 2027-01-15 with " in told


def test_the_later_of_two_verifications_counts() -> None:
    spoilt = content(finding(Purpose.RED, "red 1", problem="nothing was violated: immune"))
    first = section(profiles_page(CATALOGUE, [content(*FOUND), spoilt]), "01_missing_index")
    assert "- **Not proven**: red 1: nothing was violated: immune" in first
    last = section(profiles_page(CATALOGUE, [spoilt, content(*FOUND)]), "01_missing_index")
    assert "red 1: nothing" not in last


def test_the_overview_leads_to_each_profile() -> None:
    page = profiles_page(CATALOGUE, [content(*FOUND)])
    assert "[01_missing_index](#01_missing_index-conversations-without-an-index)" in page
    assert page.count("| not measured |") == len(CATALOGUE.profiles) - 1


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for number, findings in enumerate((FOUND[:1], FOUND)):
        folder = tmp_path / f"verify-2026010{number}-000000"
        folder.mkdir()
        (folder / "evidence.json").write_text(json.dumps(content(*findings)))
    return tmp_path


def test_the_command_writes_the_page_from_the_newest_evidence(runs: Path) -> None:
    page = runs / "page.md"
    done = CliRunner().invoke(app, ["page", "--runs", str(runs), "--into", str(page)])
    assert done.exit_code == 0, done.output
    assert page.read_text() == profiles_page(CATALOGUE, [content(*FOUND)])


@pytest.mark.parametrize(
    ("written", "told"),
    [(None, "does not exist"), ("{", "cannot be read"), ('{"target": "x"}', "no evidence about")],
)
def test_what_is_no_evidence_is_refused(tmp_path: Path, written: str | None, told: str) -> None:
    file = tmp_path / "x.json"
    if written is not None:
        file.write_text(written)
    arguments = ["page", str(file), "--into", str(tmp_path / "page.md")]
    done = CliRunner().invoke(app, [*arguments, "--runs", str(tmp_path)])
    assert told in str(done.exception)
    assert not (tmp_path / "page.md").exists()


def test_without_any_evidence_it_says_how_to_gather_some(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = CliRunner().invoke(app, ["page", "--runs", str(tmp_path), "--into", str(page)])
    assert "there is no evidence" in str(done.exception)
