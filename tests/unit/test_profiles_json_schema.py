"""The published schemas are the models', and say of the files in the tree what the loader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from chaos_profiles.document import read_document
from chaos_profiles.json_schema import SCHEMAS, json_schema, schema_text, write_schemas
from tests import profiles_kit

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "schema"
TARGETS = ROOT / "chaos_profiles"
WRITTEN = {
    "invariants": sorted(TARGETS.glob("*/invariants.yaml")),
    "profile": sorted(TARGETS.glob("*/*/profile.yaml")),
    "target": sorted(TARGETS.glob("*/target.yaml")),
}


def refusals(name: str, document: dict[str, Any]) -> list[str]:
    validator = jsonschema_rs.validator_for(json_schema(name))
    return [".".join(map(str, error.instance_path)) for error in validator.iter_errors(document)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_published_is_up_to_date(name: str) -> None:
    published = (PUBLISHED / f"{name}.schema.json").read_text()
    assert published == schema_text(name), "run `make schema`"


def test_nothing_else_is_published() -> None:
    assert {file.name for file in PUBLISHED.iterdir()} == {
        f"{name}.schema.json" for name in (*SCHEMAS, "trace", "webhook")
    }


def test_all_are_written_at_once(tmp_path: Path) -> None:
    files = write_schemas(tmp_path / "new" / "folder")
    assert [json.loads(file.read_text()) for file in files] == [json_schema(n) for n in SCHEMAS]


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_is_a_json_schema_and_says_what_every_key_means(name: str) -> None:
    schema = json_schema(name)
    jsonschema_rs.meta.validate(schema)
    silent = [key for key, field in schema["properties"].items() if "description" not in field]
    assert silent == []


@pytest.mark.parametrize(
    ("name", "file"),
    [(name, file) for name, files in WRITTEN.items() for file in files],
    ids=lambda part: part if isinstance(part, str) else part.parent.name,
)
def test_the_files_in_the_tree_fit(name: str, file: Path) -> None:
    assert refusals(name, read_document(file).data) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("rate_hz: 1.0", "rate_hz: -1", "load.0.rate_hz"),
        ("users: 20", 'users: "20"', "load.0.users"),
        ("category: query", "category: quary", "category"),
        ("window_s: 20", "windows: 20", ""),
        ("anti_patterns: [models.py:list_messages]", "anti_patterns: []", "anti_patterns"),
    ],
)
def test_what_the_loader_refuses_at_first_sight_the_schema_refuses_too(
    tmp_path: Path, old: str, new: str, place: str
) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text(profiles_kit.PROFILE)
    assert refusals("profile", read_document(file).data) == []
    file.write_text(profiles_kit.PROFILE.replace(old, new))
    assert place in refusals("profile", read_document(file).data)
