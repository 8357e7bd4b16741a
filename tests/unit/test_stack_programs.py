from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from campaign.stack.errors import MissingProgramError
from campaign.stack.postgres import app_dsn
from campaign.stack.programs import find_postgres, find_prometheus, version_tuple
from campaign.stack.prometheus import ScrapeJob, configuration

if TYPE_CHECKING:
    from pathlib import Path


def _install(folder: Path, version: str, *, modules: tuple[str, ...]) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").mkdir()
    for name in ("postgres", "initdb", "pg_basebackup"):
        _script(folder / "bin" / name, f"postgres (PostgreSQL) {version}")
    for name in modules:
        (folder / "lib" / f"{name}.so").touch()


def _script(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


@pytest.fixture
def nothing_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    (tmp_path / "path").mkdir()
    return tmp_path


_MODULES = ("pg_stat_statements", "auto_explain")


@pytest.mark.usefixtures("nothing_on_path")
def test_the_newest_postgres_in_debians_folders_is_taken(tmp_path: Path) -> None:
    for version in ("9.6.24", "15.18", "17.2"):
        major = version.split(".", maxsplit=1)[0]
        _install(tmp_path / "usr/lib/postgresql" / major, version, modules=_MODULES)
    found = find_postgres(root=tmp_path)
    assert found.version == "17.2"
    assert found.major == 17
    assert found.bin_dir == tmp_path / "usr/lib/postgresql/17/bin"


def test_the_postgres_on_path_comes_first_and_its_link_is_followed(nothing_on_path: Path) -> None:
    _install(nothing_on_path / "usr/lib/postgresql/17", "17.2", modules=_MODULES)
    _install(nothing_on_path / "own", "16.1", modules=_MODULES)
    (nothing_on_path / "path/postgres").symlink_to(nothing_on_path / "own/bin/postgres")
    assert find_postgres(root=nothing_on_path).bin_dir == nothing_on_path / "own/bin"


def test_a_postgres_that_is_too_old_is_named_with_where_it_is(nothing_on_path: Path) -> None:
    _install(nothing_on_path / "usr/lib/postgresql/14", "14.9", modules=_MODULES)
    with pytest.raises(MissingProgramError, match=r"or newer is needed, only 14\.9 in") as caught:
        find_postgres(root=nothing_on_path)
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_a_postgres_without_its_contrib_modules_says_which_are_missing(
    nothing_on_path: Path,
) -> None:
    _install(nothing_on_path / "usr/lib/postgresql/15", "15.1", modules=("auto_explain",))
    with pytest.raises(MissingProgramError, match=r"15\.1 lacks pg_stat_statements$"):
        find_postgres(root=nothing_on_path)


def test_no_postgres_at_all_comes_with_how_to_get_one(nothing_on_path: Path) -> None:
    with pytest.raises(MissingProgramError, match="none was found") as caught:
        find_postgres(root=nothing_on_path)
    assert "install postgresql" in caught.value.hint


def test_prometheus_without_its_tool_is_not_enough(nothing_on_path: Path) -> None:
    _script(nothing_on_path / "path/prometheus", "prometheus, version 2.42.0+ds")
    with pytest.raises(MissingProgramError, match="promtool was not found"):
        find_prometheus()


@pytest.mark.parametrize(("version", "fits"), [("2.39.9", False), ("2.42.0", True), ("3.1", True)])
def test_prometheus_may_be_debians_or_a_newer_one(
    nothing_on_path: Path, version: str, *, fits: bool
) -> None:
    for name in ("prometheus", "promtool"):
        _script(nothing_on_path / "path" / name, f"{name}, version {version} (branch: HEAD)")
    if fits:
        assert find_prometheus().version == version
    else:
        with pytest.raises(MissingProgramError, match="is too old"):
            find_prometheus()


def test_versions_compare_as_numbers() -> None:
    assert version_tuple("15.9") < version_tuple("15.10")


def test_the_apps_dsn_has_no_password_and_leaves_nothing_to_the_environment(
    tmp_path: Path,
) -> None:
    assert app_dsn(tmp_path) == f"postgresql://chat@/chat?host={tmp_path}&port=5432"


def test_prometheus_scrapes_and_evaluates_each_second_in_less_than_a_second(
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.yml"
    made = configuration([ScrapeJob(name="app", port=8000)], [rules])
    assert made["global"] == {
        "scrape_interval": "1s",
        "scrape_timeout": "900ms",
        "evaluation_interval": "1s",
    }
    assert made["rule_files"] == [str(rules)]
    assert made["scrape_configs"] == [
        {
            "job_name": "app",
            "metrics_path": "/metrics",
            "static_configs": [{"targets": ["127.0.0.1:8000"]}],
        }
    ]
