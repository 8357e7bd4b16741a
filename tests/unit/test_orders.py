from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import chaos_profiles
from campaign.choices import Choices
from campaign.errors import UsageError
from campaign.orders import Order, estimated_s, params_models, read_catalogue, specify
from chaos_profiles import PROFILES_ROOT, PROFILES_VARIABLE, short_name

LADDER = tuple(
    short_name(folder.name)
    for folder in sorted((PROFILES_ROOT / "chat_db_app").glob("[0-9][0-9]_*"))
)


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
    assert len(specify(Order(profiles=LADDER[1:3], first=1)).profiles) == 1
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


@pytest.mark.parametrize("operator", ["reference", "history", "none"])
@pytest.mark.parametrize(
    ("choices", "option"),
    [(Choices(plan_mode=True), "--plan-mode"), (Choices(approve=("deploy",)), "--approve")],
)
def test_a_scripted_operator_is_not_asked_for_what_it_cannot_keep_to(
    tmp_path: Path, operator: str, choices: Choices, option: str
) -> None:
    error = refusal(Order(operator=operator, choices=choices))
    assert f"{option} cannot be kept: operator {operator}" in str(error)
    assert "claude" in error.hint
    file = written(
        tmp_path,
        f"target: chat_db_app\noperator: {operator}\n"
        "operator_options: {plan_mode: true, approve: [deploy]}\n",
    )
    assert "--plan-mode cannot be kept" in str(refusal(Order(file=file)))


def test_a_files_options_for_another_operator_are_left_alone(tmp_path: Path) -> None:
    file = written(
        tmp_path, "target: chat_db_app\noperator: claude\noperator_options: {plan_mode: true}\n"
    )
    assert specify(Order(file=file, operator="reference")).operator == "reference"
    error = refusal(Order(file=file, operator="none", choices=Choices(plan_mode=True)))
    assert "--plan-mode" in str(error)


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
    monkeypatch.setattr(chaos_profiles.catalogue, "PROFILES_ROOT", root)
    told = str(refusal(Order()))
    assert f"{fix}: does not apply to the unmodified app; git says: error: patch failed" in told


def test_profiles_of_ones_own_follow_the_ladder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_profile(tmp_path)
    monkeypatch.setenv(PROFILES_VARIABLE, str(tmp_path))
    spec = specify(Order(profiles=("mine",)))
    assert spec.catalogue.profiles[-1].id == "mine"
    assert spec.catalogue.fix_patch(spec.profiles[0]) == folder / "fix.patch"


def test_a_folder_of_ones_own_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROFILES_VARIABLE, str(tmp_path / "none"))
    error = refusal(Order())
    assert str(error) == f"there is no folder {tmp_path / 'none'}"
    assert PROFILES_VARIABLE in error.hint


def test_at_full_scale_a_profile_plays_what_it_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_profile(tmp_path)
    with (folder / "profile.yaml").open("a") as file:
        file.write("full_scale: {load: [{behaviour: reader, users: 77, rate_hz: 1}]}\n")
    monkeypatch.setenv(PROFILES_VARIABLE, str(tmp_path))
    usual = specify(Order(profiles=("mine", "streaming_txn")))
    full = specify(Order(profiles=("mine", "streaming_txn"), scale="full"))
    assert [d.users for d in full.profiles[0].load] == [77]
    assert full.profiles[0].growth == usual.profiles[0].growth
    assert full.profiles[1] == usual.profiles[1]


def test_a_full_scale_that_nobody_wrote_down_is_refused() -> None:
    error = refusal(Order(profiles=("streaming_txn",), scale="full"))
    assert str(error) == "no full scale is written down for streaming_txn"
    assert error.hint.startswith("these have one: ")


def own_profile(root: Path) -> Path:
    """A profile of chat_db_app's, in a folder of one's own: a copy of the first one."""
    folder = root / "chat_db_app" / "98_mine"
    shutil.copytree(PROFILES_ROOT / "chat_db_app" / "01_missing_index", folder)
    text = (folder / "profile.yaml").read_text()
    (folder / "profile.yaml").write_text(text.replace("1_000_", "98_000_"))
    return folder


def test_without_git_nothing_can_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refusal(Order())
    assert "git" in str(error)
    assert "install git" in error.hint


def test_every_behaviour_says_what_it_can_be_told() -> None:
    target = read_catalogue().target
    assert set(params_models(target.clients)) == set(target.behaviours)


def test_an_order_goes_over_the_api_without_its_file() -> None:
    order = Order(file=Path("x"), operator="none", first=2)
    assert order.as_asked() == {"operator": "none", "first": 2}


def test_isolated_trials_take_longer_than_the_same_ones_in_a_row() -> None:
    plan = specify(Order()).plan("x")
    isolated = specify(Order(mode="isolated")).plan("x")
    assert 60 < estimated_s(plan) < estimated_s(isolated) < 3600


def test_a_continuous_campaign_keeps_the_states_of_its_trials_unless_told_otherwise() -> None:
    assert specify(Order()).plan("x").snapshots
    assert not specify(Order(snapshots=False)).plan("x").snapshots
    assert not specify(Order(mode="isolated")).plan("x").snapshots
