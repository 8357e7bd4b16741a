"""What the controller logs shows no secret, wherever it is written."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from operators.session import Session

from campaign.logs import log_to, log_to_terminal
from campaign.model import SessionOutcome
from campaign.staff import OnRecord
from tests.agent_kit import Does, Sessions
from tests.toolbox_kit import ASSIGNMENT

KEY = "sk-nobody-may-see-this"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("stream", [Terminal, Pipe])
@pytest.mark.parametrize("after_a_file", [True, False])
async def test_a_key_is_in_no_traceback_of_an_operator_that_crashes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: Callable[[], io.StringIO],
    *,
    after_a_file: bool,
) -> None:
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    log_to_terminal()
    if after_a_file:
        with log_to(tmp_path / "ratchet.log"):
            pass
    sessions = Sessions(folder=tmp_path, redact=(KEY,))

    async def breaks(_: Session) -> None:
        key = KEY
        raise RuntimeError(f"a defect of {len(key)} characters")

    result = await OnRecord(operator=sessions.operator(Does(work=breaks))).work(
        ASSIGNMENT, sessions.house.bench
    )
    assert result.outcome is SessionOutcome.FAILED
    assert "a defect of 22 characters" in written.getvalue()
    assert KEY not in written.getvalue()


def test_a_file_has_one_json_object_a_line_and_no_local_variables(tmp_path: Path) -> None:
    log = structlog.get_logger("test")
    with log_to(tmp_path / "ratchet.log"):
        try:
            key = KEY
            raise RuntimeError(str(len(key)))  # noqa: TRY301
        except RuntimeError:
            log.exception("broke")
    (line,) = (tmp_path / "ratchet.log").read_text().splitlines()
    assert line.startswith("{")
    assert KEY not in line
