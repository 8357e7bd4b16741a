"""chat-db-app's profiles against the parts they speak of: the generator, the data, the app."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest

from campaign.model import LoadVector, Profile, offered_hz, total_users
from chaos_profiles import PROFILES_ROOT, load_catalogue, load_target_data
from chaos_profiles.rules import LATENCY_EDGES_S
from loadgen.chat_db_app import BEHAVIOURS
from loadgen.load import parse_load
from loadgen.metrics import BUCKETS_S

PARAMS_MODELS = {behaviour.name: behaviour.params_model for behaviour in BEHAVIOURS}
CATALOGUE = load_catalogue(PROFILES_ROOT / "chat_db_app", models_of=lambda _: PARAMS_MODELS)
DATA = load_target_data(CATALOGUE.target.folder)

each_profile = pytest.mark.parametrize("profile", CATALOGUE.profiles, ids=lambda p: p.id)


def document(load: LoadVector) -> dict[str, Any]:
    return {"id": "test", "dimensions": [asdict(dimension) for dimension in load]}


def rows(profile: Profile) -> dict[str, list[tuple[Any, ...]]]:
    """What the profile adds, by table."""
    return {table.name: list(table.rows) for table in DATA.growth(profile.growth)}


def test_the_patches_apply_the_functions_exist_and_the_promql_is_understood() -> None:
    load_catalogue(PROFILES_ROOT / "chat_db_app", sources=True)


def test_the_target_names_the_generators_behaviours_and_operations() -> None:
    offered: dict[str, set[str]] = {}
    for behaviour in BEHAVIOURS:
        variants: list[dict[str, object]] = [{}]
        if "unread_count" in behaviour.params_model.model_fields:
            variants = [{"unread_count": option} for option in (False, True, "only")]
        offered[behaviour.name] = {
            operation
            for variant in variants
            for operation in behaviour(
                params=behaviour.params_model.model_validate(variant), remember=lambda *_: None
            ).operations
        }
    told = {name: set(operations) for name, operations in CATALOGUE.target.behaviours.items()}
    assert told == offered


def test_the_generator_takes_the_base_load() -> None:
    parse_load(document(CATALOGUE.target.base_load), params_models=PARAMS_MODELS)
    assert 5 <= offered_hz(CATALOGUE.target.base_load) <= 7
    assert total_users(CATALOGUE.target.base_load) == 12


@each_profile
def test_the_generator_takes_each_profiles_load(profile: Profile) -> None:
    parse_load(document(profile.load), params_models=PARAMS_MODELS)
    parse_load(document(profile.ratchet), params_models=PARAMS_MODELS)


@each_profile
def test_the_load_acts_on_rows_that_exist(profile: Profile) -> None:
    added = rows(profile)
    owners = {row[0]: row[1] for row in added.get("conversations", [])}
    users = {row[0] for row in added.get("users", [])}
    for dimension in (*profile.load, *profile.ratchet):
        first_user, user_count = dimension.params.get("users", (1, 0))
        assert {first_user + k for k in range(user_count)} <= users
        first, count = dimension.params.get("conversations", (1, 0))
        assert all(owners[first + k] == first_user + k % user_count for k in range(count))


def test_no_two_profiles_and_no_seed_use_the_same_ids() -> None:
    seen: Counter[tuple[str, int]] = Counter()
    sources = [table for p in CATALOGUE.profiles for table in DATA.growth(p.growth)]
    for table in [*DATA.seed(), *sources]:
        seen.update((table.name, row[0]) for row in table.rows)
    assert [key for key, count in seen.most_common(1) if count > 1] == []


def test_every_searching_user_finds_some_of_the_terms() -> None:
    profile = CATALOGUE.profile("fulltext_search")
    terms = profile.load[0].params["terms"]
    found = {
        row[2] for row in rows(profile)["messages"] if any(row[4].endswith(term) for term in terms)
    }
    first, count = profile.load[0].params["users"]
    assert found == set(range(first, first + count))


def test_latency_limits_are_edges_of_the_generators_histogram() -> None:
    client_timeout_s = 5.0
    assert tuple(edge for edge in BUCKETS_S if edge < client_timeout_s) == LATENCY_EDGES_S


def test_every_operation_that_is_judged_exists() -> None:
    operations = {name for names in CATALOGUE.target.behaviours.values() for name in names}
    for invariant in CATALOGUE.invariants:
        for part in invariant.value.split('operation="')[1:]:
            assert part.partition('"')[0] in operations
