from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from campaign.identity import Identity, can_enter, own_identity
from campaign.stack.errors import NotEnoughSpaceError, StackError
from campaign.stack.places import (
    cache_place,
    data_place,
    is_data_folder,
    is_socket_folder,
    make_socket_folder,
    passable_folder,
    require_free_space,
)
from campaign.stack.record import RECORD_NAME, StackRecordFile, cleanup_leftovers, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRANGER = Identity(user="stranger", uid=54_321, gid=54_321)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where a stranger can get to, unlike pytest's own folders."""
    folder = make_socket_folder()
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir()
    folder.rmdir()


def test_everybody_may_pass_the_socket_folder_and_its_paths_are_short() -> None:
    folder = make_socket_folder()
    try:
        assert can_enter(_STRANGER, folder)
        assert len(os.fsencode(folder / "pg" / ".s.PGSQL.5432")) < 104
        assert is_socket_folder(folder)
    finally:
        folder.rmdir()


@pytest.mark.parametrize("path", ["/tmp", "/tmp/other", "/home/me/ratchet-abc", "/"])  # noqa: S108
def test_no_other_folder_is_taken_for_a_socket_folder(path: str) -> None:
    assert not is_socket_folder(Path(path))


def test_a_link_is_not_taken_for_a_socket_folder() -> None:
    folder = make_socket_folder()
    link = folder.with_name(f"{folder.name}-link")
    link.symlink_to(folder)
    try:
        assert not is_socket_folder(link)
    finally:
        link.unlink()
        folder.rmdir()


def test_data_lies_in_the_run_folder_where_its_users_can_reach_it(open_folder: Path) -> None:
    run = open_folder / "runs" / "one"
    assert data_place(run, (_STRANGER,)) == run / "stack"


def test_data_lies_apart_where_they_cannot_and_always_in_the_same_place(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    place = data_place(closed / "one", (_STRANGER,))
    assert place.parent == Path("/var/lib/ratchet")
    assert place.name.startswith("one-")
    assert place == data_place(closed / "one", (_STRANGER,))
    assert place != data_place(closed / "two" / "one", (_STRANGER,))


def test_our_own_user_reaches_its_own_private_folder(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    assert data_place(closed / "one", (own_identity(),)) == closed / "one" / "stack"


def test_only_the_data_folder_of_a_run_may_be_discarded(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    assert is_data_folder(tmp_path / "stack", tmp_path)
    assert not is_data_folder(tmp_path, tmp_path)
    assert not is_data_folder(Path("/var/lib"), tmp_path)


@pytest.mark.parametrize(
    ("mode", "identity", "expected"),
    [
        (0o700, _STRANGER, False),
        (0o711, _STRANGER, True),
        (0o710, replace(_STRANGER, gid=os.getegid()), True),
        (0o701, replace(_STRANGER, gid=os.getegid()), False),
        (0o700, own_identity(), True),
    ],
)
def test_reach_is_judged_by_the_bits_that_apply_to_the_user(
    open_folder: Path, mode: int, identity: Identity, *, expected: bool
) -> None:
    inner = open_folder / "inner"
    inner.mkdir()
    inner.chmod(mode)
    assert can_enter(identity, inner / "not there yet") == expected


def test_passable_folders_are_passable_whatever_the_umask(open_folder: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = passable_folder(open_folder / "one" / "two")
    finally:
        os.umask(before)
    assert can_enter(_STRANGER, folder)


def test_the_cache_is_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_CACHE", "/somewhere/else")
    assert cache_place() == Path("/somewhere/else")


def test_the_cache_of_a_user_is_below_home_and_of_root_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RATCHET_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/.caches")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cache_place() == Path("/home/me/.caches/ratchet")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cache_place() == Path("/var/cache/ratchet")


def test_too_little_room_is_told_in_gigabytes(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughSpaceError, match=r"a campaign needs 1000000\.0 GB"):
        require_free_space(tmp_path / "not there yet", min_bytes=10**15)


def test_a_run_without_a_record_has_nothing_to_clean_up(tmp_path: Path) -> None:
    left = cleanup_leftovers(tmp_path)
    assert left.killed == ()
    assert left.removed is None
    assert not (tmp_path / RECORD_NAME).exists()


def test_a_closed_record_keeps_only_where_the_data_lies(tmp_path: Path) -> None:
    record = StackRecordFile(tmp_path)
    record.open(socket_dir=Path("/tmp/ratchet-x"), data_dir=tmp_path / "stack")  # noqa: S108
    record.close()
    kept = read_record(tmp_path)
    assert kept.data_dir == tmp_path / "stack"
    assert kept.owner is None
    assert kept.socket_dir is None


def test_a_damaged_record_is_refused_since_it_would_say_what_to_kill(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_text('{"processes": [{"pid": "one"}]}')
    with pytest.raises(StackError, match="is damaged"):
        cleanup_leftovers(tmp_path)
