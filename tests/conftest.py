"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logs_of_their_own() -> Iterator[None]:
    """A test that sends the logs somewhere must not leave them there for the next one."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
