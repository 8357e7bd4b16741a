"""What every test starts from."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# That a machine is busy for a moment is no defect: what must be quick is judged by assertions. And
# what fails is to belong to the change that is tested: RATCHET_LONG=1 looks for other examples.
settings.register_profile("ratchet", deadline=None, derandomize="RATCHET_LONG" not in os.environ)
settings.load_profile("ratchet")

# A shell without job control has what it starts in the background ignore Ctrl-C, and its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logs_of_their_own() -> Iterator[None]:
    """A test that sends the logs somewhere must not leave them there for the next one."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
