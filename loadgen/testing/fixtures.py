"""Fixtures for pytest: a test module asks for them with `pytest_plugins`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadgen.testing.processes import FakeApp, Generator
from loadgen.testing.samples import CLIENT_TIMEOUT_S


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path: that of a Unix socket has 108 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="lg-") as path:
        yield Path(path)


@pytest.fixture
def fake_app(short_folder: Path) -> Iterator[FakeApp]:
    path, stderr = short_folder / "app.sock", short_folder / "app.log"
    with FakeApp(path, stderr=stderr) as app:
        yield app


@pytest.fixture
def client_timeout_s() -> float:
    """How patient the generator's clients are; a module may have others."""
    return CLIENT_TIMEOUT_S


@pytest.fixture
def generator(short_folder: Path, client_timeout_s: float) -> Iterator[Generator]:
    """Aimed at the place of the fake app, whether there is one or not."""
    path = short_folder / "app.sock"
    with Generator(short_folder, app_socket=path, client_timeout_s=client_timeout_s) as generator:
        yield generator
