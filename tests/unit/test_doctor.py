from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from campaign import doctor
from campaign.doctor import Check, run_checks

if TYPE_CHECKING:
    from pathlib import Path

_GB = 1_000_000_000


def test_every_check_that_is_not_ok_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = run_checks(runs_dir=tmp_path / "runs", wheels_dir=tmp_path / "wheels")
    lacking = [check for check in checks if check.status != "ok"]
    assert {"Prometheus", "bubblewrap", "git", "app wheels"} <= {check.name for check in lacking}
    assert all(check.advice for check in lacking)
    assert not any(check.advice for check in checks if check.status == "ok")


def test_looking_changes_nothing(tmp_path: Path) -> None:
    run_checks(runs_dir=tmp_path / "runs", wheels_dir=tmp_path / "wheels")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 9), "missing"), ((3, 11, 0), "ok"), ((3, 14, 1), "ok")]
)
def test_python_must_be_new_enough(version: tuple[int, ...], status: str) -> None:
    assert doctor.check_python(version, executable="python3").status == status


@pytest.mark.parametrize(
    ("is_root", "system", "status"),
    [(True, "Linux", "missing"), (False, "Linux", "warn"), (False, "Darwin", "warn")],
)
def test_only_root_cannot_do_without_setpriv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_root: bool, system: str, status: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.check_setpriv(system=system, is_root=is_root).status == status


def test_a_full_disk_stops_a_campaign_and_little_memory_warns() -> None:
    assert doctor.check_disk(1 * _GB).status == "missing"
    assert doctor.check_disk(9 * _GB) == Check(name="disk", status="ok", found="9.0 GB free")
    assert doctor.check_memory(1 * _GB).status == "warn"
    assert doctor.check_memory(8 * _GB).status == "ok"


def test_one_core_is_enough_to_start_with_a_warning() -> None:
    assert doctor.check_cores(1).status == "warn"
    assert doctor.check_cores(2).status == "ok"


def test_prepared_wheels_are_counted(tmp_path: Path) -> None:
    assert doctor.check_wheels(tmp_path).status == "missing"
    (tmp_path / "aiohttp-3.14.5-cp311-cp311-linux_x86_64.whl").touch()
    assert doctor.check_wheels(tmp_path).status == "ok"
