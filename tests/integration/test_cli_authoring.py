"""Writing a profile of one's own, by the commands that docs/your-own-profile.md names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos_profiles.json_schema import SCHEMAS
from tests.runs_kit import ratchet


def test_a_new_profile_is_made_and_says_what_it_lacks(tmp_path: Path) -> None:
    done = ratchet("profiles", "new", "slow_export", "--into", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    (folder,) = tmp_path.glob("chat_db_app/*_slow_export")
    assert f"{folder}: fill in profile.yaml, make fix.patch" in done.stderr
    dry = ratchet("--profiles-dir", tmp_path, "trial", "slow_export", "--dry-run")
    assert (dry.returncode, dry.stdout) == (2, "")
    assert f"{folder / 'profile.yaml'}:" in dry.stderr
    assert ": title: should be a valid string" in dry.stderr
    assert f"{folder / 'fix.patch'}: is missing" in dry.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["profiles", "new", "Bad"], "'Bad' is no name"),
        (["profiles", "new", "missing_index"], "there is a profile 01_missing_index already"),
        (["profiles", "new", "x", "--target", "y"], "unknown target: y"),
        (["profiles", "schema", "x"], "there is no schema x"),
        (["trial", "missing_index", "--scale", "huge"], "unknown scale: huge"),
        (["trial", "missing_index", "--scale", "full"], "no full scale is written down for"),
        (["--profiles-dir", "no-such", "profiles", "list"], "no-such"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ratchet(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_schema_is_printed_or_all_are_written(tmp_path: Path) -> None:
    assert json.loads(ratchet("profiles", "schema", "target").stdout)["title"] == "TargetFile"
    ratchet("profiles", "schema", "--into", tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{name}.schema.json" for name in (*SCHEMAS, "trace", "webhook")
    }


@pytest.mark.parametrize(
    "profile", ["correlated_subquery", "notification_fanout", "notification_n_plus_one"]
)
def test_the_symptoms_of_the_first_campaign_have_a_scale_of_their_own(profile: str) -> None:
    done = ratchet("trial", profile, "--scale", "full", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert [trial["profile"] for trial in json.loads(done.stdout)["trials"]] == [profile]
