"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# That a machine is busy for a moment is no defect: what must be quick is judged by assertions.
settings.register_profile("ratchet", deadline=None)
settings.load_profile("ratchet")


@pytest.fixture(autouse=True)
def logs_of_their_own() -> Iterator[None]:
    """A test that sends the logs somewhere must not leave them there for the next one."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
