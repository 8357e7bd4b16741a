from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos_profiles import PROFILES_ROOT, GrowthError, load_target_data

DATA = load_target_data(PROFILES_ROOT / "chat_db_app")
SMALL = {"users": {"first": 5, "count": 2}, "conversations": {"first": 5, "count": 3}}


def test_a_growth_becomes_tables() -> None:
    assert [table.name for table in DATA.growth(SMALL)] == ["users", "conversations"]


def test_no_growth_is_no_table() -> None:
    assert DATA.growth({}) == ()


def test_the_module_is_read_once() -> None:
    again = load_target_data(PROFILES_ROOT / "chat_db_app")
    assert again.module is DATA.module


@pytest.mark.parametrize(
    ("growth", "message"),
    [
        ({**SMALL, "user": 1}, "user: unknown key; did you mean users or new_users?"),
        ({**SMALL, "needles": {"every": 2, "term": 1}}, "needles.term: unknown key"),
        ({"users": SMALL["users"]}, "conversations: Field required"),
        ({**SMALL, "content_words": "many"}, "content_words: should be a valid integer"),
        (
            {**SMALL, "users": {"first": 1, "count": 0}},
            "growth: a growth needs at least one user",
        ),
    ],
)
def test_a_growth_that_is_not_understood_is_refused(
    growth: dict[str, object], message: str
) -> None:
    with pytest.raises(GrowthError, match=message.replace("?", r"\?")):
        DATA.growth(growth)


def test_a_target_without_a_data_module_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.py is missing"):
        load_target_data(tmp_path)


def test_a_data_module_is_read_once_whoever_asks_at_the_same_time(tmp_path: Path) -> None:
    reads = tmp_path / "reads"
    source = f"import pathlib\npathlib.Path({str(reads)!r}).open('a').write('read ')\n"
    (tmp_path / "data.py").write_text(source)
    ready = threading.Barrier(8)

    def load(_: int) -> object:
        ready.wait()
        return load_target_data(tmp_path).module

    with ThreadPoolExecutor(8) as threads:
        modules = set(threads.map(load, range(8)))
    assert (len(modules), reads.read_text()) == (1, "read ")
