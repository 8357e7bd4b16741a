"""What the pages lead to and name is there: files, headings, folders, targets of make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs_kit import (
    DOCS,
    ROOT,
    anchors,
    broken_links,
    linked,
    links,
    make_targets,
    named_paths,
    pages,
)

PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()]
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_there_are(page: Path) -> None:
    assert broken_links(page) == ()


@pytest.mark.parametrize("page", PAGES)
def test_links_stay_within_the_repository(page: Path) -> None:
    assert [each for each in links(page) if not linked(page, each).is_relative_to(ROOT)] == []


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_are_named_are_there(page: Path) -> None:
    below = (ROOT, ROOT / "operator")
    assert [
        name for name in named_paths(page) if not any(any(each.glob(name)) for each in below)
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_make_knows_what_it_is_asked_for(page: Path) -> None:
    assert [name for name in make_targets(page) if f"\n{name}:" not in MAKEFILE] == []


def test_whoever_begins_with_the_readme_finds_every_page() -> None:
    found, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        found.add(page)
        targets = {linked(page, each) for each in links(page)}
        left += [each for each in targets if each.suffix == ".md" and each not in found]
    assert sorted(set(DOCS.glob("*.md")) - found) == []


def test_there_is_something_to_look_at() -> None:
    readme = ROOT / "README.md"
    assert len(PAGES) > 15
    assert len(links(readme)) > 10
    assert {"demo", "test"} <= set(make_targets(readme))
    assert "deploy/grafana/generator" in named_paths(DOCS / "grafana.md")


def test_what_is_not_there_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The `first` one: it's here\n\n## Twice\n\n## Twice\n\n"
        "[a](#the-first-one-its-here) [b](#twice-1) [c](page.md#twice) [d](https://nobody.example)\n"
        "[e](#twice-2) ![f](gone.png) [g](gone.md)\n\n"
        "```sh\n# A comment\n[h](gone.md)\n```\n\n[i](#a-comment)\n"
    )
    assert anchors(page) == {"the-first-one-its-here", "twice", "twice-1"}
    assert broken_links(page) == ("#twice-2", "gone.png", "gone.md", "#a-comment")
