"""Patches, ground truth and PromQL, with everything else that is wrong, before anything starts."""

from __future__ import annotations

import gc
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos_profiles import ProfileError, load_catalogue
from chaos_profiles.problems import Problem
from tests.profiles_kit import MODELS, PROFILE, PROFILE_FILE, write_target

FIX = """\
--- a/models.py
+++ b/models.py
@@ -1,3 +1,3 @@
 def list_messages():
-    return slow()
+    return fast()
 # the end
"""
APP = """\
def list_messages():
    return slow()
# the end
class Box:
    def open(self): ...
"""

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A target with an app of one function, and a fix and a hack that apply to it."""
    target = write_target(tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "models.py").write_text(APP)
    (target / "01_missing_index" / "fix.patch").write_text(FIX)
    (target / "01_missing_index" / "hacks").mkdir()
    (target / "01_missing_index" / "hacks" / "nothing.patch").write_text(FIX)
    return target


def check(folder: Path, *more: Path) -> None:
    load_catalogue(folder, more=more, models_of=lambda _: MODELS, sources=True)


def problems(folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(ProfileError) as caught:
        check(folder)
    return caught.value.problems


def told(folder: Path) -> list[tuple[str, str, str]]:
    return [(each.file.name, each.field, each.message) for each in problems(folder)]


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_all_is_well(folder: Path) -> None:
    check(folder)


def test_the_app_itself_is_left_alone(folder: Path) -> None:
    source = folder.parents[1] / "app" / "models.py"
    check(folder)
    assert source.read_text() == APP


@pytest.mark.parametrize("patch", ["fix.patch", "hacks/nothing.patch"])
def test_a_patch_that_no_longer_applies_is_told_in_gits_words(folder: Path, patch: str) -> None:
    edit(folder / "01_missing_index" / patch, "slow()", "lazy()")
    ((file, _, message),) = told(folder)
    assert file == Path(patch).name
    assert message.startswith("does not apply to the unmodified app; git says: ")
    assert "patch does not apply" in message


def test_a_patch_of_a_file_that_is_gone_is_told(folder: Path) -> None:
    patch = folder / "01_missing_index" / "hacks" / "nothing.patch"
    patch.write_text(FIX.replace("models.py", "gone.py"))
    ((_, _, message),) = told(folder)
    assert "gone.py: No such file" in message


def test_a_missing_fix_is_told(folder: Path) -> None:
    (folder / "01_missing_index" / "fix.patch").unlink()
    message = "is missing: every profile is proven by its reference fix"
    assert told(folder) == [("fix.patch", "", message)]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("models.py:list_mesages", "is not defined there; did you mean list_messages?"),
        ("models.py:open", "is not defined there; did you mean Box.open?"),
        ("model.py:list_messages", "the app has no such file; did you mean models.py?"),
    ],
)
def test_a_function_that_is_not_there_is_told_with_its_line(
    folder: Path, named: str, message: str
) -> None:
    edit(folder / PROFILE_FILE, "models.py:list_messages", named)
    (problem,) = problems(folder)
    assert (problem.line, problem.field) == (4, "anti_patterns.0")
    assert problem.message == f"{named}: {message}"


def test_a_method_is_named_with_its_class(folder: Path) -> None:
    edit(folder / PROFILE_FILE, "models.py:list_messages", "models.py:Box.open")
    check(folder)


def test_a_target_without_its_app_is_told(folder: Path) -> None:
    shutil.rmtree(folder.parents[1] / "app")
    (problem,) = problems(folder)
    assert (problem.file.name, problem.line, problem.field) == ("target.yaml", 1, "app")
    assert problem.message.startswith("there is no app in ")


@needs_promtool
@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("/ $rate\n", "/ ($rate\n", "value", "unclosed left parenthesis"),
        ("increase(seen", "increase(sum(seen", "samples", "unclosed left parenthesis"),
        ("increase(seen", "incraese(seen", "samples", 'unknown function with name "incraese"'),
        ("$RANGE_S * $rate", "rate($rate)", "offered", "expected type range vector"),
    ],
)
def test_promql_that_is_none_is_told_in_prometheus_words_with_its_line(
    folder: Path, old: str, new: str, field: str, message: str
) -> None:
    edit(folder / "invariants.yaml", old, new)
    (problem,) = problems(folder)
    assert (problem.file.name, problem.field) == ("invariants.yaml", f"invariants.0.{field}")
    lines = (folder / "invariants.yaml").read_text().splitlines()
    assert lines[(problem.line or 0) - 1].strip().startswith(f"{field}:")
    assert problem.message.startswith("is not PromQL: ")
    assert message in problem.message


@needs_promtool
def test_everything_is_refused_at_once_with_file_line_and_field(folder: Path) -> None:
    """A nonsense rate, an unknown dimension, a PromQL error, a patch, a window: one look."""
    edit(folder / "invariants.yaml", "/ $rate\n", "/ ($rate\n")
    edit(folder / "01_missing_index" / "fix.patch", "slow()", "lazy()")
    edit(folder / "target.yaml", "behaviour: reader", "behaviour: raeder")
    edit(folder / PROFILE_FILE, "window_s: 20", "window_s: 5")
    other = folder / "02_other"
    other.mkdir()
    text = PROFILE.replace("1_000_000_000", "2_000_000_000").replace(
        "rate_hz: 1.0", "rate_hz: .nan"
    )
    (other / "profile.yaml").write_text(text)
    (other / "fix.patch").write_text(FIX)
    (other / "hacks").mkdir()
    (other / "hacks" / "old.patch").write_text(FIX.replace("slow()", "lazy()"))
    found = [
        (each.file.relative_to(folder).as_posix(), each.line, each.field)
        for each in problems(folder)
    ]
    assert found == [
        ("01_missing_index/fix.patch", None, ""),
        ("01_missing_index/profile.yaml", 13, "window_s"),
        ("02_other/hacks/old.patch", None, ""),
        ("02_other/profile.yaml", 10, "load.0.rate_hz"),
        ("invariants.yaml", 10, "invariants.0.value"),
        ("target.yaml", 11, "base_load.0.behaviour"),
    ]


def test_profiles_of_a_users_own_folder_are_checked_like_ours(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "small_app" / "19_mine"
    own.mkdir(parents=True)
    (own / "profile.yaml").write_text(PROFILE.replace("1_000_000_000", "19_000_000_000"))
    (own / "fix.patch").write_text(FIX)
    catalogue = load_catalogue(folder, more=[own.parent], sources=True)
    assert [profile.id for profile in catalogue.profiles] == ["missing_index", "mine"]
    assert catalogue.fix_patch(catalogue.profile("mine")) == own / "fix.patch"
    (own / "fix.patch").write_text(FIX.replace("slow()", "lazy()"))
    with pytest.raises(ProfileError, match=r"19_mine/fix\.patch: does not apply"):
        check(folder, own.parent)


def test_an_app_that_is_no_python_is_a_problem_of_its_own(folder: Path) -> None:
    (folder.parents[1] / "app" / "models.py").write_text(APP + "def (:\n")
    ((file, field, message),) = told(folder)
    assert (file, field) == ("profile.yaml", "anti_patterns.0")
    assert "that file is no Python: invalid syntax" in message
    assert "line 6" in message


def test_two_can_be_checked_at_once(folder: Path) -> None:
    """As when two campaigns are asked for: the parser must not be entered twice."""
    (folder.parents[1] / "app" / "models.py").write_text(
        APP + "".join(f"def f{number}(a, b): return [a + b, {{}}]\n" for number in range(3000))
    )

    def elsewhere(*_: object) -> None:
        """Another thread has its turn in the middle of a tree."""
        time.sleep(0.0001)

    gc.callbacks.append(elsewhere)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(check, [folder] * 4)) == [None] * 4
    finally:
        gc.callbacks.remove(elsewhere)
