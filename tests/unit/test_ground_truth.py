"""The ground truth of chat_db_app against the app's source."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from campaign.model import DECIDING_GATES
from chaos_profiles import short_name
from chaos_profiles.document import read_document

ROOT = Path(__file__).parents[2]
APP = ROOT / "target_apps" / "chat_db_app"
GROUND_TRUTH = ROOT / "chaos_profiles" / "chat_db_app" / "ground_truth.yaml"
PROFILE_FILES = sorted(GROUND_TRUTH.parent.glob("[0-9][0-9]_*/profile.yaml"))
GATES = {"functional", "correct", "robust", "performant", "production"}
#: The campaign's eighteen trials.
PROFILES = {
    "missing_index",
    "pool_exhaustion",
    "streaming_txn",
    "fulltext_search",
    "read_scale",
    "unbounded_results",
    "write_contention",
    "write_amplification",
    "correlated_subquery",
    "notification_fanout",
    "notification_counter",
    "notification_realtime",
    "notification_poll_idle",
    "notification_mark_read",
    "notification_n_plus_one",
    "notification_payload",
    "notification_cleanup",
    "notification_serialize",
}


def load() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = YAML(typ="safe").load(GROUND_TRUTH)["anti_patterns"]
    return entries


ENTRIES = load()


@lru_cache
def functions(file: str) -> frozenset[str]:
    """Names of the functions that a file of the app defines."""
    tree = ast.parse((APP / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_there_are_at_least_twenty_anti_patterns_each_with_its_own_id_and_place() -> None:
    assert len(ENTRIES) >= 20
    for key in ("id", "where"):
        values = [entry[key] for entry in ENTRIES]
        assert sorted(values) == sorted(set(values))


def test_every_trial_of_the_campaign_has_something_to_expose() -> None:
    exposed = {entry["noticed_by"].get("profile") for entry in ENTRIES}
    assert exposed - {None} == PROFILES


@pytest.mark.parametrize("file", PROFILE_FILES, ids=lambda file: file.parent.name)
def test_what_a_profile_exposes_is_what_is_registered_for_it(file: Path) -> None:
    named = set(read_document(file).data["anti_patterns"])
    name = short_name(file.parent.name)
    assert named <= {entry["where"] for entry in ENTRIES}
    assert named >= {e["where"] for e in ENTRIES if e["noticed_by"].get("profile") == name} != set()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_an_anti_pattern_is_told_in_full_and_is_where_it_is_said_to_be(
    entry: dict[str, Any],
) -> None:
    assert set(entry) == {"id", "where", "what", "symptom", "noticed_by"}
    file, function = entry["where"].split(":")
    assert function in functions(file)
    assert entry["what"]
    assert entry["symptom"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_an_anti_pattern_is_noticed_by_a_profile_or_an_assertion(entry: dict[str, Any]) -> None:
    ((kind, name),) = entry["noticed_by"].items()
    if kind == "profile":
        assert name in PROFILES
    else:
        gate, _, assertion = name.partition(": ")
        assert kind == "assertion"
        assert gate in GATES
        assert assertion
        if gate in DECIDING_GATES:
            assert assertion in assertions(gate)


def assertions(gate: str) -> set[str]:
    """The names of the gate's assertions, those of this target included."""
    files = (ROOT / "campaign" / "gates" / gate).rglob("*.py")
    trees = [ast.parse(file.read_text()) for file in files]
    return {
        node.name for tree in trees for node in tree.body if isinstance(node, ast.AsyncFunctionDef)
    }


def test_the_app_says_nowhere_what_is_wrong_with_it() -> None:
    """No id of the ground truth, profile name or telling word in anything the operator reads."""
    telling = {entry["id"] for entry in ENTRIES} | PROFILES
    telling |= {"naive", "anti-pattern", "antipattern", "n+1", "race condition", "ratchet", "chaos"}
    sources = [file for file in APP.rglob("*") if file.suffix in {".py", ".md", ".txt", ".ini"}]
    assert sources
    for file in sources:
        text = file.read_text().lower()
        assert not [word for word in telling if word in text], file
