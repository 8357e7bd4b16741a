"""A new profile's folder, from its making to a profile that is checked like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos_profiles import ProfileError, load_catalogue, target_folders
from chaos_profiles.json_schema import SCHEMAS
from chaos_profiles.scaffold import Scaffold, ScaffoldError
from tests.profiles_kit import MODELS, write_target
from tests.unit.test_profiles_sources import APP, FIX


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = write_target(tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "models.py").write_text(APP)
    (folder / "01_missing_index" / "fix.patch").write_text(FIX)
    return folder


def new(name: str, target: Path, root: Path) -> Path:
    folders = target_folders("small_app", (target.parent, root))
    return Scaffold(name=name, target=folders, root=root).write()


def problems(target: Path, more: Path) -> list[tuple[str, str]]:
    with pytest.raises(ProfileError) as caught:
        load_catalogue(target, more=[more], models_of=lambda _: MODELS, sources=True)
    return [(problem.file.name, problem.field) for problem in caught.value.problems]


def test_it_takes_the_next_place_and_holds_what_a_profile_needs(
    target: Path, tmp_path: Path
) -> None:
    root = tmp_path / "own folder"
    folder = new("slow_export", target, root)
    assert folder == root / "small_app" / "02_slow_export"
    assert (folder / "hacks" / "README.md").read_text().startswith("Each `*.patch`")
    text = (folder / "profile.yaml").read_text()
    for told in ("reader", "history_latency", "2_000_000_000", f"'{root}'", str(tmp_path / "app")):
        assert told in text
    schemas = {file.name for file in (root / ".schema").iterdir()}
    assert schemas == {f"{name}.schema.json" for name in SCHEMAS}
    assert (folder / text.split("$schema=")[1].split()[0]).is_file()


def test_the_places_to_fill_in_are_told_all_at_once(target: Path, tmp_path: Path) -> None:
    folder = new("slow_export", target, tmp_path / "own")
    assert problems(target, folder.parent) == [
        ("fix.patch", ""),
        ("profile.yaml", "title"),
        ("profile.yaml", "symptom"),
        ("profile.yaml", "anti_patterns"),
        ("profile.yaml", "breaks"),
    ]


def test_filled_in_it_is_a_profile(target: Path, tmp_path: Path) -> None:
    folder = new("slow_export", target, tmp_path / "own")
    text = (folder / "profile.yaml").read_text()
    for old, filled in (
        ("title:\n", "title: Exports are slow\n"),
        ("symptom:\n", "symptom: Exports of long conversations time out\n"),
        ("anti_patterns: []", "anti_patterns: [models.py:list_messages]"),
        ("breaks: []", "breaks: [history_latency]"),
    ):
        assert old in text
        text = text.replace(old, filled)
    (folder / "profile.yaml").write_text(text)
    (folder / "fix.patch").write_text(FIX)
    catalogue = load_catalogue(
        target, more=[folder.parent], models_of=lambda _: MODELS, sources=True
    )
    assert [profile.id for profile in catalogue.profiles] == ["missing_index", "slow_export"]


def test_another_one_can_be_made_while_the_first_is_still_empty(
    target: Path, tmp_path: Path
) -> None:
    new("first", target, tmp_path / "own")
    assert new("second", target, tmp_path / "own").name == "03_second"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Slow", "'Slow' is no name"),
        ("../x", r"'\.\./x' is no name"),
        ("missing_index", "there is a profile 01_missing_index already"),
    ],
)
def test_a_name_that_is_unfit_or_taken_is_refused(
    target: Path, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ScaffoldError, match=message):
        new(name, target, tmp_path / "own")
    assert not (tmp_path / "own").exists()


def test_a_full_ladder_is_told(target: Path, tmp_path: Path) -> None:
    (target / "99_last").mkdir()
    with pytest.raises(ScaffoldError, match="no place after 99"):
        new("one_more", target, tmp_path / "own")
