"""A target's folder is loaded whole, or refused with everything that is wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from campaign.model import LoadDimension
from campaign.orders import params_models
from chaos_profiles import PROFILES_ROOT, ProfileError, load_catalogue, target_names
from chaos_profiles.problems import Problem
from tests.profiles_kit import MODELS, PROFILE, PROFILE_FILE, TARGET, write_target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_target(tmp_path)


Edit = Callable[[str, str, str], tuple[Problem, ...]]


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replace a piece of a file and give the problems that this makes."""

    def edit(file: str, old: str, new: str) -> tuple[Problem, ...]:
        path = folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return problems(folder)

    return edit


def problems(folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(ProfileError) as caught:
        load_catalogue(folder, models_of=lambda _: MODELS)
    return caught.value.problems


def only(found: tuple[Problem, ...]) -> tuple[str, int | None, str, str]:
    assert len(found) == 1, found
    return found[0].file.name, found[0].line, found[0].field, found[0].message


def test_a_folder_becomes_a_catalogue(folder: Path) -> None:
    catalogue = load_catalogue(folder)
    assert [profile.id for profile in catalogue.profiles] == ["missing_index"]
    assert catalogue.target.name == "small_app"
    assert catalogue.target.app_dir == folder.parents[1] / "app"
    assert catalogue.target.behaviours == {"reader": ("list_messages",), "canary": ("get_user",)}
    assert catalogue.target.base_load == (LoadDimension(behaviour="reader", users=3, rate_hz=0.4),)
    assert catalogue.profiles[0].growth == {"users": {"first": 1_000_000_000, "count": 10}}
    assert catalogue.profiles[0].load[0].params == {"users": [1_000_000_000, 10]}
    assert target_names((folder.parent,)) == ("small_app",)


def test_a_target_says_by_which_header_its_app_knows_users(folder: Path, edit: Edit) -> None:
    assert load_catalogue(folder, models_of=lambda _: MODELS).target.user_header == "X-User-Id"
    file = folder / "target.yaml"
    file.write_text(f"{file.read_text()}user_header: X-Account\n")
    assert load_catalogue(folder, models_of=lambda _: MODELS).target.user_header == "X-Account"
    (problem,) = edit("target.yaml", "X-Account", '"X-A: 1"')
    assert problem.field == "user_header"


def test_a_profile_is_found_by_its_id_and_by_its_name(folder: Path) -> None:
    catalogue = load_catalogue(folder)
    first = catalogue.profiles[0]
    assert catalogue.profile("01_missing_index") is first
    assert catalogue.profile("missing_index") is first
    with pytest.raises(KeyError, match="no profile 'mising_index'; did you mean missing_index"):
        catalogue.profile("mising_index")


def test_the_folders_number_is_the_place_in_the_ladder(folder: Path) -> None:
    text = PROFILE.replace("1_000", "2_000")
    (folder / "02_earlier").mkdir()
    (folder / "02_earlier" / "profile.yaml").write_text(text)
    (folder / "10_last").mkdir()
    (folder / "10_last" / "profile.yaml").write_text(PROFILE.replace("1_000_", "10_000_"))
    names = [profile.id for profile in load_catalogue(folder).profiles]
    assert names == ["missing_index", "earlier", "last"]


def test_shared_expressions_are_put_in_place(folder: Path) -> None:
    (invariant,) = load_catalogue(folder).invariants
    rate = '(sum(rate_hz{job="loadgen",behaviour="reader"}))'
    assert invariant.offered == f"$RANGE_S * {rate}"
    assert invariant.value == f'slow{{job="loadgen",behaviour="reader",le="$L"}} / {rate}'


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            PROFILE_FILE,
            "rate_hz: 1.0",
            "rate_hs: 1.0",
            [
                (10, "load.0.rate_hs", "unknown key; did you mean rate_hz?"),
                (8, "load.0.rate_hz", "is missing; scheduled arrivals per second of each user"),
            ],
            id="an unknown key",
        ),
        pytest.param(
            PROFILE_FILE,
            "users: 20",
            "users: 0",
            [(9, "load.0.users", "should be greater than or equal to 1, not 0")],
            id="no users",
        ),
        pytest.param(
            PROFILE_FILE,
            "users: 20",
            'users: "20"',
            [(9, "load.0.users", "should be a valid integer, not '20'")],
            id="a number in quotes",
        ),
        pytest.param(
            PROFILE_FILE,
            "rate_hz: 1.0",
            "rate_hz: .inf",
            [(10, "load.0.rate_hz", "should be a finite number, not inf")],
            id="an infinite rate",
        ),
        pytest.param(
            PROFILE_FILE,
            "rate_hz: 1.0",
            "rate_hz: .nan",
            [(10, "load.0.rate_hz", "should be a finite number, not nan")],
            id="a rate that is no number",
        ),
        pytest.param(
            PROFILE_FILE,
            "rate_hz: 1.0",
            "rate_hz: -1",
            [(10, "load.0.rate_hz", "should be greater than 0, not -1")],
            id="a negative rate",
        ),
        pytest.param(
            PROFILE_FILE,
            "rate_hz: 1.0",
            "rate_hz: 0.001",
            [(10, "load.0.rate_hz", "too low for a single request within window_s")],
            id="a rate without a request",
        ),
        pytest.param(
            PROFILE_FILE,
            "users: 20\n    rate_hz: 1.0",
            "users: 200\n    rate_hz: 100",
            [(7, "load", "20000 requests/s in all: one generator manages 10000")],
            id="more than a generator can send",
        ),
        pytest.param(
            PROFILE_FILE,
            "window_s: 20",
            "window_s: 20\nfull_scale: {}",
            [(14, "full_scale", "changes nothing: give it a growth, a load or both")],
            id="a full scale that is none",
        ),
        pytest.param(
            PROFILE_FILE,
            "window_s: 20",
            "window_s: 20\nfull_scale:\n"
            "  growth: {users: {first: 2_000_000_000, cuont: 10}}\n"
            "  load: [{behaviour: raeder, users: 6000, rate_hz: 1}]",
            [(16, "full_scale.load.0.users", "should be less than or equal to 5000, not 6000")],
            id="a full scale that does not fit the schema",
        ),
        pytest.param(
            PROFILE_FILE,
            "window_s: 20",
            "window_s: 20\nfull_scale:\n"
            "  growth: {users: {first: 2_000_000_000, cuont: 10}}\n"
            "  load: [{behaviour: raeder, users: 60, rate_hz: 0.0001}]",
            [
                (15, "full_scale.growth.users.first", "2000000000 belongs to another profile"),
                (15, "full_scale.growth.users.cuont", "unknown key; did you mean count?"),
                (16, "full_scale.load.0.behaviour", "no such behaviour; did you mean reader?"),
                (16, "full_scale.load.0.rate_hz", "too low for a single request"),
            ],
            id="a full scale that is wrong where the rest is right",
        ),
        pytest.param(
            PROFILE_FILE,
            "behaviour: reader",
            "behaviour: raeder",
            [(8, "load.0.behaviour", "no such behaviour; did you mean reader?")],
            id="an unknown behaviour",
        ),
        pytest.param(
            PROFILE_FILE,
            "params: {users:",
            "params: {user:",
            [
                (11, "load.0.params.user", "unknown key; did you mean users?"),
                (11, "load.0.params.users", "is missing"),
            ],
            id="params that the generator does not know",
        ),
        pytest.param(
            PROFILE_FILE,
            "rate_hz: 1.0",
            "rate_hz: 0.3\n    arrival: burst",
            [
                (
                    10,
                    "load.0.rate_hz",
                    "a window may see no burst at all: one is due every 3 s at least",
                )
            ],
            id="bursts that are too rare",
        ),
        pytest.param(
            PROFILE_FILE,
            "users: 20\n    rate_hz: 1.0",
            "users: 1\n    rate_hz: 1.0\n    arrival: burst",
            [
                (
                    11,
                    "load.0.arrival",
                    "one user alone is no burst: give it more users, or leave arrival out",
                )
            ],
            id="a burst of one",
        ),
        pytest.param(
            PROFILE_FILE,
            "breaks: [history_latency]",
            "breaks: [history_latecy]",
            [(12, "breaks.0", "no such invariant; did you mean history_latency?")],
            id="an unknown invariant",
        ),
        pytest.param(
            PROFILE_FILE,
            "breaks: [history_latency]",
            "breaks: []",
            [(12, "breaks", "List should have at least 1 item after validation, not 0, not []")],
            id="nothing to break",
        ),
        pytest.param(
            PROFILE_FILE,
            "window_s: 20",
            "window_s: 6",
            [
                (
                    13,
                    "window_s",
                    "must be longer than the rules' range and the warm-up together (6 s)",
                )
            ],
            id="a window that is too short",
        ),
        pytest.param(
            PROFILE_FILE,
            "window_s: 20",
            "window_s: 20\nmasked_by: [missing_index]",
            [(14, "masked_by.0", "no other profile of that name")],
            id="a profile that masks itself",
        ),
        pytest.param(
            PROFILE_FILE,
            "category: query",
            "category: quary",
            [
                (
                    2,
                    "category",
                    "should be 'query', 'connection', 'write' or 'notification', not 'quary'",
                )
            ],
            id="an unknown category",
        ),
        pytest.param(
            PROFILE_FILE,
            "first: 1_000_000_000",
            "first: 2_000_000_000",
            [
                (
                    6,
                    "growth.users.first",
                    "2000000000 belongs to another profile: use 1000000000 to 1999999999",
                )
            ],
            id="another profile's ids",
        ),
        pytest.param(
            PROFILE_FILE,
            "count: 10",
            "cuont: 10",
            [
                (6, "growth.users.count", "Field required"),
                (6, "growth.users.cuont", "unknown key; did you mean count?"),
            ],
            id="growth that the data module does not know",
        ),
        pytest.param(
            PROFILE_FILE,
            "anti_patterns: [models.py:list_messages]",
            "anti_patterns: [somewhere]",
            [
                (
                    4,
                    "anti_patterns.0",
                    "String should match pattern ",
                )
            ],
            id="an anti-pattern without a place",
        ),
        pytest.param(
            PROFILE_FILE,
            "title: Conv",
            "titel: Conv",
            [
                (1, "titel", "unknown key; did you mean title?"),
                (1, "title", "is missing; a few words for people"),
            ],
            id="a missing key is shown where it belongs",
        ),
        pytest.param(
            "target.yaml",
            "behaviour: reader, users: 3",
            "behaviour: writer, users: 3",
            [(11, "base_load.0.behaviour", "no such behaviour; known: canary, reader")],
            id="an unknown behaviour in the base load",
        ),
        pytest.param(
            "target.yaml",
            "canary: [get_user]",
            "herd: [get_user]",
            [
                (7, "behaviours", "canary is missing: its plainest request is what"),
                (9, "behaviours.herd", "the clients have no such behaviour; known: canary, reader"),
            ],
            id="behaviours that the clients do not have",
        ),
        pytest.param(
            "target.yaml",
            "command: [python, main.py]",
            "command: python main.py",
            [(2, "command", "should be a valid list, not 'python main.py'")],
            id="a command that is no list",
        ),
        pytest.param(
            "invariants.yaml",
            "/ $rate\n",
            "/ $raet\n",
            [
                (
                    10,
                    "invariants.0.value",
                    "$raet is not known; there are $rate, $SELECT, $L, $RANGE, $RANGE_S,",
                ),
                (9, "invariants.0.latency", "no expression uses $L: drop it"),
            ],
            id="an unknown name in an expression",
        ),
        pytest.param(
            "invariants.yaml",
            "/ $rate\n",
            "/ ($rate or vector(0))\n",
            [(10, "invariants.0.value", "makes up a value where there is no data")],
            id="a value that is made up",
        ),
        pytest.param(
            "invariants.yaml",
            "    latency: {floor_s: 0.3, times_calibrated: 20}\n",
            "",
            [(4, "invariants.0", "uses $L: add `latency:` with floor_s and times_calibrated")],
            id="a latency limit without a latency",
        ),
        pytest.param(
            "invariants.yaml",
            "sources: [loadgen]",
            "sources: [app]",
            [
                (15, "invariants.0.sources", "the operator can edit what the app says"),
                (15, "invariants.0.sources", 'the value reads no series of it: add job="app"'),
            ],
            id="an invariant that trusts the app",
        ),
        pytest.param(
            "invariants.yaml",
            'rate: sum(rate_hz{job="loadgen",$SELECT})',
            "rate: $rate + 1",
            [
                (10, "invariants.0.value", "$rate contains itself (rate > rate)"),
                (13, "invariants.0.offered", "$rate contains itself (rate > rate)"),
            ],
            id="an expression that contains itself",
        ),
    ],
)
def test_each_problem_is_named_with_its_line(
    edit: Edit, file: str, old: str, new: str, expected: list[tuple[int, str, str]]
) -> None:
    found = edit(file, old, new)
    told = {(problem.line, problem.field, problem.message) for problem in found}
    assert {problem.file.name for problem in found} == {Path(file).name}
    for line, field, message in expected:
        assert any((line, field) == where[:2] and where[2].startswith(message) for where in told), (
            told
        )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("title: a\n\tcategory: b\n", 2, "not YAML: found character '\\t'"),
        ("title: [a\ncategory: b\n", 2, "not YAML: expected ',' or ']'"),
        ("title: a\ntitle: b\n", 2, 'not YAML: found duplicate key "title"'),
        ("- a\n- b\n", 1, "must be a mapping"),
        ("", 1, "must be a mapping"),
        ("just text\n", 1, "must be a mapping"),
        ("title: a\n1: b\n", 1, "the key 1 must be text"),
        ("title: a\nsymptom: 2024-01-01\n", 2, "a date is not allowed here: quote it"),
        ("title: !!python/name:os.system x\n", 1, "a TaggedScalar is not allowed here"),
        ("title: \xff", None, "cannot be read as UTF-8 text"),
    ],
)
def test_what_is_not_yaml_is_named_with_its_line(
    folder: Path, text: str, line: int | None, message: str
) -> None:
    (folder / PROFILE_FILE).write_bytes(text.encode("latin-1"))
    (found,) = problems(folder)
    assert found.line == line
    assert found.message.startswith(message)


def test_all_problems_of_all_files_are_told_at_once(folder: Path, edit: Edit) -> None:
    (folder / "02_second").mkdir()
    (folder / "02_second" / "profile.yaml").write_text(PROFILE.replace("window_s", "windows"))
    (folder / "target.yaml").write_text(TARGET.replace("app:", "ap:"))
    found = edit("invariants.yaml", "limit: 0.05", "limit: .inf")
    assert {problem.file.relative_to(folder).as_posix() for problem in found} == {
        "02_second/profile.yaml",
        "invariants.yaml",
        "target.yaml",
    }
    assert str(ProfileError(found)).startswith(f"{len(found)} problems:\n  {folder}")


def test_a_problem_reads_as_a_compilers_does(folder: Path, edit: Edit) -> None:
    (problem,) = edit(PROFILE_FILE, "users: 20", "users: 0")
    place = f"{folder}/{PROFILE_FILE}:9"
    message = "load.0.users: should be greater than or equal to 1, not 0"
    assert str(problem) == f"{place}: {message}"


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / PROFILE_FILE).unlink()
    assert only(problems(folder)) == ("profile.yaml", None, "", "does not exist: create it")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_pool", "a profile's folder is named NN_name"),
        ("1_pool", "a profile's folder is named NN_name"),
        ("02_Pool", "a profile's folder is named NN_name"),
        ("01_pool", "has the same place in the ladder as 01_missing_index"),
    ],
)
def test_a_folder_with_a_wrong_name_is_told(folder: Path, name: str, message: str) -> None:
    shutil.copytree(folder / "01_missing_index", folder / name)
    (found,) = problems(folder)
    assert found.file.name == name
    assert found.message.startswith(message)


def test_clients_that_cannot_be_loaded_are_told_with_the_reason(folder: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        load_catalogue(folder, models_of=params_models)
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (6, "clients")
    assert f"{folder}/clients.py cannot be loaded: FileNotFoundError" in problem.message


def test_the_full_scale_is_the_same_profile_with_another_load_or_growth(folder: Path) -> None:
    with (folder / PROFILE_FILE).open("a") as file:
        file.write("full_scale:\n  load: [{behaviour: reader, users: 4000, rate_hz: 1}]\n")
    catalogue = load_catalogue(folder)
    full, usual = catalogue.full_scale["missing_index"], catalogue.profile("missing_index")
    assert [dimension.users for dimension in full.load] == [4000]
    assert full == replace(usual, load=full.load)


def test_what_masks_a_profile_and_what_was_added_to_it_are_told(folder: Path) -> None:
    (folder / "02_second").mkdir()
    text = PROFILE.replace("1_000", "2_000")
    (folder / "02_second" / "profile.yaml").write_text(
        f"{text}masked_by: [missing_index]\nnote: >-\n  A call\n  of 10 ms.\n"
    )
    second = load_catalogue(folder).profile("second")
    assert second.masked_by == ("missing_index",)
    assert second.note == "A call of 10 ms."


def test_growth_without_a_data_module_is_refused(folder: Path) -> None:
    (folder / "data.py").unlink()
    (found,) = problems(folder)
    assert (found.field, found.line) == ("growth", 5)


def test_two_profiles_of_one_name_are_told(folder: Path) -> None:
    (folder / "02_missing_index").mkdir()
    text = PROFILE.replace("1_000", "2_000")
    (folder / "02_missing_index" / "profile.yaml").write_text(text)
    (found,) = problems(folder)
    assert found.message == "has the same name as 01_missing_index: give it another one"


def test_chat_db_app_is_loaded() -> None:
    catalogue = load_catalogue(PROFILES_ROOT / "chat_db_app")
    assert [profile.id for profile in catalogue.profiles][:4] == [
        "missing_index",
        "pool_exhaustion",
        "streaming_txn",
        "fulltext_search",
    ]
