"""Requests made from chat-db-app's document, and answers held against it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from campaign.errors import HarnessError
from campaign.gates.answer import Answer
from campaign.gates.conformance import Case, Judge, cases, making

APP = Path(__file__).resolve().parents[2] / "target_apps" / "chat_db_app"
MAKING = Path(making.__file__).read_text()
TELL = "import json, openapi; print(json.dumps(openapi.document()))"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, "-B", "-c", TELL], cwd=APP, capture_output=True, check=True
    )
    read: dict[str, Any] = json.loads(told.stdout)
    return read


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cases")


@pytest.fixture(scope="module")
def made(document: dict[str, Any], cache: Path) -> tuple[Case, ...]:
    return cases(document, cache_dir=cache)


@pytest.fixture(scope="module")
def judge(document: dict[str, Any]) -> Judge:
    return Judge(document)


def test_every_operation_is_asked_in_ways_it_allows(
    document: dict[str, Any], made: tuple[Case, ...]
) -> None:
    documented = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert {case.operation for case in made if case.kind == "valid"} == documented


def test_most_operations_are_asked_in_ways_they_refuse(made: tuple[Case, ...]) -> None:
    assert len({case.operation for case in made if case.kind == "invalid"}) > 15


def test_they_are_few(made: tuple[Case, ...]) -> None:
    assert len(made) < 200


def test_they_are_the_same_when_they_are_made_again(
    document: dict[str, Any], made: tuple[Case, ...], tmp_path: Path
) -> None:
    assert cases(document, cache_dir=tmp_path) == made


def test_they_are_kept(
    document: dict[str, Any], made: tuple[Case, ...], cache: Path, tmp_path: Path
) -> None:
    """What was kept is taken as it is: it would be more if they were made again."""
    (file,) = cache.glob("*.json")
    assert cases(document, cache_dir=cache) == made
    kept = json.loads(file.read_text())[:3]
    (tmp_path / file.name).write_text(json.dumps(kept))
    assert cases(document, cache_dir=tmp_path) == made[:3]


def test_what_was_kept_badly_is_made_again(
    document: dict[str, Any], made: tuple[Case, ...], cache: Path
) -> None:
    (file,) = cache.glob("*.json")
    file.write_text(file.read_text()[:1000])
    assert cases(document, cache_dir=cache) == made


def test_no_modules_constants_are_tried_where_they_are_made(tmp_path: Path) -> None:
    """Else other requests would be made by a process that has other modules loaded."""
    nothing = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {}}
    look = "from hypothesis.internal.conjecture import providers as p; p._get_local_constants()"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{MAKING}\n{look}\nprint(len(p._local_constants))"],
        input=json.dumps({"document": nothing, "seed": 1, "examples": 1}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[]0"]


def test_a_document_that_cannot_be_read_is_no_fault_of_the_app(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"no requests can be made .*: .*Open API version"):
        cases({"nonsense": 1}, cache_dir=tmp_path)


def asked(made: tuple[Case, ...], operation: str) -> Case:
    return next(case for case in made if case.operation == operation and case.kind == "valid")


def answer(
    body: bytes, *, status: int = 200, content_type: str = "application/json; charset=utf-8"
) -> Answer:
    return Answer(
        asked="GET /api/notifications/unread_count",
        status=status,
        headers={"content-type": content_type},
        body=body,
    )


def test_an_answer_by_the_document_has_no_problem(judge: Judge, made: tuple[Case, ...]) -> None:
    case = asked(made, "unread_count")
    assert judge.problems(case, answer(b'{"unread": 3}')) == []
    assert judge.problems(case, answer(b'{"error": "sign in"}', status=401)) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (answer(b'{"unread": "3"}'), "schema"),
        (answer(b"{}"), "schema"),
        (answer(b'{"unread": -1}'), "schema"),
        (answer(b"nothing like JSON"), "JSON"),
        (answer(b'{"unread": 3}', content_type="text/html"), "Undocumented Content-Type"),
        (answer(b'{"error": "later"}', status=503), "Undocumented status code"),
    ],
)
def test_any_other_answer_has_one(
    judge: Judge, made: tuple[Case, ...], wrong: Answer, problem: str
) -> None:
    problems = judge.problems(asked(made, "unread_count"), wrong)
    assert any(problem in told for told in problems), problems


def test_a_stream_is_judged_by_its_events(judge: Judge, made: tuple[Case, ...]) -> None:
    case = asked(made, "stream_reply")
    events = b'event: token\ndata: "certainly"\n\n'
    assert judge.problems(case, answer(events, content_type="text/event-stream")) == []
