from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from campaign import orders
from campaign.errors import UsageError
from campaign.orders import Order, estimated_s, params_models, read_catalogue, specify
from chaos_profiles import PROFILES_ROOT

LADDER = ("missing_index", "pool_exhaustion", "streaming_txn", "fulltext_search")


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "campaign.yaml"
    file.write_text(text)
    return file


def refusal(order: Order) -> UsageError:
    with pytest.raises(UsageError) as caught:
        specify(order)
    assert caught.value.exit_code == 2
    return caught.value


def test_nothing_asked_for_is_the_whole_ladder_with_the_reference_operator() -> None:
    spec = specify(Order())
    assert tuple(profile.id for profile in spec.profiles) == LADDER
    assert (spec.operator, spec.mode, spec.seed) == ("reference", "continuous", 1)
    assert spec.base_load == spec.catalogue.target.base_load


def test_profiles_are_played_in_the_order_they_are_named_in() -> None:
    spec = specify(Order(profiles=("04_fulltext_search", "missing_index")))
    assert tuple(profile.id for profile in spec.profiles) == ("fulltext_search", "missing_index")


def test_first_cuts_what_is_played_whatever_it_is() -> None:
    assert len(specify(Order(first=2)).profiles) == 2
    assert len(specify(Order(profiles=LADDER[1:], first=1)).profiles) == 1
    assert len(specify(Order(first=99)).profiles) == len(LADDER)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (Order(target="no_such"), "unknown target: no_such"),
        (Order(operator="nobody"), "unknown operator: nobody"),
        (Order(profiles=("mising_index",)), "no profile 'mising_index'; did you mean"),
        (Order(profiles=()), "no profile is named"),
        (Order(profiles=("missing_index", "01_missing_index")), "named twice: missing_index"),
        (Order(first=0), "it must be at least 1"),
        (Order(seed=-1), "seed -1"),
        (Order(seed=2**63), "seed 9223372036854775808"),
    ],
)
def test_what_cannot_be_played_is_refused_with_its_reason(order: Order, message: str) -> None:
    assert message in str(refusal(order))


@pytest.mark.parametrize(
    "order", [Order(target="x"), Order(operator="x"), Order(profiles=("x",)), Order(profiles=())]
)
def test_a_refusal_says_what_there_is_instead(order: Order) -> None:
    assert refusal(order).hint


def test_a_file_decides_and_options_overrule_it(tmp_path: Path) -> None:
    file = written(
        tmp_path, "target: chat_db_app\noperator: none\nseed: 7\nprofiles: [streaming_txn]\n"
    )
    spec = specify(Order(file=file))
    assert (spec.operator, spec.seed, spec.profiles[0].id) == ("none", 7, "streaming_txn")
    spec = specify(Order(file=file, operator="reference", seed=0, profiles=LADDER[:1]))
    assert (spec.operator, spec.seed, spec.profiles[0].id) == ("reference", 0, "missing_index")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("target: chat_db_app\noperator: nobody\n", ":2: operator: unknown operator: nobody"),
        (
            "target: chat_db_app\noperator: none\nprofiles: [missing_index, missing_index]\n",
            ":3: profiles: named twice: missing_index",
        ),
        (
            """\
target: chat_db_app
operator: none
base_load:
- {behaviour: streamer, users: 1, rate_hz: 1, params: {tokens: many}}
""",
            ":4: base_load.0.params.tokens",
        ),
        ("target: [\n", "not YAML"),
        ("", "must be a mapping"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    file = written(tmp_path, text)
    told = str(refusal(Order(file=file)))
    assert str(file) in told
    assert place in told


def test_a_file_names_its_target_itself(tmp_path: Path) -> None:
    file = written(tmp_path, "target: chat_db_app\noperator: none\n")
    assert "both given" in str(refusal(Order(file=file, target="chat_db_app")))


def test_an_operator_overruled_may_be_wrong_in_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "target: chat_db_app\noperator: claude\n")
    assert specify(Order(file=file, operator="none")).operator == "none"


def test_a_patch_that_does_not_apply_is_refused_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "chaos_profiles"
    shutil.copytree(PROFILES_ROOT / "chat_db_app", root / "chat_db_app")
    shutil.copytree(PROFILES_ROOT.parent / "target_apps", tmp_path / "target_apps")
    fix = root / "chat_db_app" / "01_missing_index" / "fix.patch"
    fix.write_text(fix.read_text().replace("jsonb NOT NULL", "json NOT NULL"))
    monkeypatch.setattr(orders, "PROFILES_ROOT", root)
    told = str(refusal(Order()))
    assert f"{fix}: does not apply to the unmodified app; git says: error: patch failed" in told


def test_without_git_nothing_can_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refusal(Order())
    assert "git" in str(error)
    assert "install git" in error.hint


def test_every_behaviour_says_what_it_can_be_told() -> None:
    assert set(params_models("chat_db_app")) == set(read_catalogue().target.behaviours)


def test_an_order_goes_over_the_api_without_its_file() -> None:
    order = Order(file=Path("x"), operator="none", first=2)
    assert order.as_asked() == {"operator": "none", "first": 2}


def test_isolated_trials_take_longer_than_the_same_ones_in_a_row() -> None:
    plan = specify(Order()).plan("x")
    isolated = specify(Order(mode="isolated")).plan("x")
    assert 60 < estimated_s(plan) < estimated_s(isolated) < 900
