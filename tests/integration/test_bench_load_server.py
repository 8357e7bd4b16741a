"""The server of the load's benchmark, asked by several at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from campaign.stack.places import make_socket_folder
from tests.bench import load_server
from tests.bench.load_server import SLOWEST_S, Server, running

_CLIENTS, _EACH = 4, 5


@pytest.fixture
def server() -> Iterator[Server]:
    folder = make_socket_folder()
    try:
        with running(folder / "app.sock") as up:
            yield up
    finally:
        shutil.rmtree(folder)


def ask(path: Path, number: int) -> list[int]:
    """The ids in the answers to a few requests on one connection."""
    connection: HTTPConnection = load_server._Connection(path)
    ids = []
    for _ in range(_EACH):
        connection.request("GET", f"/api/users/{number}")
        ids.append(json.loads(connection.getresponse().read())["id"])
    connection.close()
    return ids


def test_it_answers_each_with_its_own_and_knows_how_long_it_took(server: Server) -> None:
    with ThreadPoolExecutor(_CLIENTS) as pool:
        answers = list(pool.map(lambda number: ask(server.path, number), range(_CLIENTS)))
    assert answers == [[number] * _EACH for number in range(_CLIENTS)]
    truth = server.truth()
    assert len(truth.durations_s) == _CLIENTS * _EACH
    assert truth.quantile_s(1.0) > 0.9 * SLOWEST_S
    assert min(truth.durations_s) < 0.5 * truth.quantile_s(1.0)
    assert server.truth().durations_s == ()
