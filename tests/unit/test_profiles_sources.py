"""Patches and ground truth against the app's source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chaos_profiles import PROFILES_ROOT, Catalogue, check_sources, load_catalogue

FIX = """\
--- a/models.py
+++ b/models.py
@@ -1,3 +1,3 @@
 def read():
-    return slow()
+    return fast()
 # the end
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """One profile of chat-db-app's, of an app with one function, and a fix that applies."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "models.py").write_text(
        "def read():\n    return slow()\n# the end\nclass Box:\n    def open(self): ...\n"
    )
    whole = load_catalogue(PROFILES_ROOT / "chat_db_app")
    profile = replace(whole.profiles[0], anti_patterns=("models.py:read", "models.py:Box.open"))
    target = replace(whole.target, folder=tmp_path, app_dir=app)
    folders = {profile.id: tmp_path / "01_missing_index"}
    catalogue = replace(whole, target=target, profiles=(profile,), folders=folders)
    catalogue.folder(profile).mkdir()
    catalogue.fix_patch(profile).write_text(FIX)
    return catalogue


def told(catalogue: Catalogue) -> list[tuple[str, str]]:
    return [(problem.file.name, problem.message) for problem in check_sources(catalogue)]


def test_all_is_well(catalogue: Catalogue) -> None:
    assert told(catalogue) == []


def test_the_app_itself_is_left_alone(catalogue: Catalogue) -> None:
    source = catalogue.target.app_dir / "models.py"
    before = source.read_text()
    check_sources(catalogue)
    assert source.read_text() == before


def test_a_patch_that_does_not_apply_is_told_in_gits_words(catalogue: Catalogue) -> None:
    catalogue.fix_patch(catalogue.profiles[0]).write_text(FIX.replace("slow()", "lazy()"))
    ((file, message),) = told(catalogue)
    assert file == "fix.patch"
    assert "patch does not apply" in message


def test_hacks_must_apply_too(catalogue: Catalogue) -> None:
    hacks = catalogue.folder(catalogue.profiles[0]) / "hacks"
    hacks.mkdir()
    (hacks / "nothing.patch").write_text(FIX.replace("models.py", "gone.py"))
    ((file, message),) = told(catalogue)
    assert file == "nothing.patch"
    assert "gone.py: No such file" in message


def test_a_missing_fix_is_told(catalogue: Catalogue) -> None:
    catalogue.fix_patch(catalogue.profiles[0]).unlink()
    message = "is missing: every profile is proven by its reference fix"
    assert told(catalogue) == [("fix.patch", message)]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("models.py:reed", "is not defined there; did you mean read?"),
        ("model.py:read", "the app has no such file; did you mean models.py?"),
    ],
)
def test_a_function_that_is_not_there_is_told(
    catalogue: Catalogue, named: str, message: str
) -> None:
    profile = replace(catalogue.profiles[0], anti_patterns=(named,))
    assert told(replace(catalogue, profiles=(profile,))) == [
        ("profile.yaml", f"{named}: {message}")
    ]


def test_a_target_without_its_app_is_told(catalogue: Catalogue) -> None:
    target = replace(catalogue.target, app_dir=catalogue.target.folder / "nowhere")
    ((file, message),) = told(replace(catalogue, target=target))
    assert file == "target.yaml"
    assert message.startswith("there is no app in ")
