"""`ratchet operator trace`: a person reads what a session did, also while it does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from operators.toolbox.answer import Answer
from operators.trace import TraceWriter
from operators.trace.folder import find_session, sessions
from typer.testing import CliRunner, Result

from campaign.cli import operator_trace
from campaign.errors import HarnessError, NotFoundError
from tests.runs_kit import played, write_run
from tests.trace_kit import usage, work, writer

app = typer.Typer()
operator_trace.register(app)
app.command("other")(lambda: None)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Of a campaign `camp` with nobody at work on it."""
    run = write_run(tmp_path, "camp", played(1)[:3])
    return run.path / "traces"


def ask(traces: Path, *arguments: str) -> Result:
    runs = str(traces.parent.parent)
    return CliRunner().invoke(app, ["trace", "--runs", runs, "camp", *arguments])


def over(trace: TraceWriter) -> None:
    work(trace)
    trace.close()


def test_the_sessions_of_a_campaign_are_listed(traces: Path) -> None:
    over(writer(traces, session_id="T002-s1"))
    over(writer(traces, session_id="T010-s1"))
    work(writer(traces, session_id="T010-s2"))
    (traces / "T011-s1.jsonl").write_text("{}\n")
    done = ask(traces)
    assert done.exit_code == 0, done.output
    rows = [line.split()[0] for line in done.output.splitlines()]
    assert rows == ["session", "T002-s1", "T010-s1", "T010-s2", "T011-s1"]
    assert "unreadable" in done.output
    found = json.loads(ask(traces, "--json").stdout)["sessions"]
    assert [each["readable"] for each in found] == [True, True, True, False]
    assert [each.get("complete") for each in found] == [True, True, False, None]


def test_a_campaign_without_sessions_says_so(traces: Path) -> None:
    assert "no sessions yet" in ask(traces).output
    assert json.loads(ask(traces, "--json").stdout) == {"sessions": []}
    assert isinstance(ask(traces, "--follow").exception, NotFoundError)


def test_one_session_is_shown_with_its_turns_calls_and_cost(traces: Path) -> None:
    over(writer(traces))
    text = ask(traces, "T001").output
    for told in (
        "Perhaps an index is missing.",
        "sql [database] query=EXPLAIN SELECT 1",
        "query_metrics [verify]",
        "turn 3",
        "retried after 529",
        "deployed 0123",
        "3 turns · 5 calls",
        "price-table:2026-11-12",
    ):
        assert told in text, told


def test_a_session_is_found_by_ticket_and_number(traces: Path) -> None:
    for name in ("T001-s1", "T001-s2", "T0011-s1"):
        over(writer(traces, session_id=name))

    def found(wanted: str) -> str | None:
        session = find_session(traces, wanted)
        return None if session is None else session.name

    assert found("T001") == "T001-s2"
    assert found("T001-1") == "T001-s1"
    assert found("T001-s1") == "T001-s1"
    assert found("T01") is None
    refused = ask(traces, "T9").exception
    assert isinstance(refused, NotFoundError)
    assert "T001-s1, T001-s2, T0011-s1" in refused.hint


def test_the_document_is_printed_as_it_is(traces: Path) -> None:
    trace = writer(traces)
    over(trace)
    assert json.loads(ask(traces, "T001", "--json").stdout) == json.loads(
        trace.document_path.read_text()
    )


def test_a_document_alone_reads_as_its_lines_did(traces: Path) -> None:
    trace = writer(traces)
    trace.broken_off(usage(output_tokens=7))
    over(trace)
    from_lines = ask(traces, "T001").output
    assert "broken off" in from_lines
    trace.path.unlink()
    assert ask(traces, "T001").output == from_lines
    assert [session.name for session in sessions(traces)] == ["T001-s1"]


def test_following_ends_with_the_session(traces: Path) -> None:
    over(writer(traces))
    done = ask(traces, "T001", "--follow")
    assert "end of the session" in done.output
    lines = ask(traces, "T001", "--follow", "--json").stdout.splitlines()
    assert json.loads(lines[0])["kind"] == "session"
    assert json.loads(lines[-1])["kind"] == "end"


def test_following_shows_what_is_written_meanwhile(
    traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = writer(traces)
    acts = [lambda: trace.user_message("later"), trace.close]
    monkeypatch.setattr(operator_trace, "_nobody_plays", lambda _: lambda: False)
    monkeypatch.setattr("time.sleep", lambda _: acts.pop(0)())
    assert "later" in ask(traces, "T001", "--follow").output
    assert acts == []


def test_following_a_killed_session_ends_when_nobody_plays(traces: Path) -> None:
    work(writer(traces))
    done = ask(traces, "--follow")
    assert done.exit_code == 0
    assert "end of the session" not in done.output


def test_what_a_terminal_would_obey_is_not_printed(traces: Path) -> None:
    trace = writer(traces)
    trace.tool_use("c", "bash", {"command": "printf '\x1b]0;x\x07'"})
    text = "\x1b[2J\x9b31m[red]\u202emoc.live"
    trace.tool_result("c", "bash", Answer(text=text), duration_s=0)
    trace.close()
    shown = ask(traces, "T001").output
    assert not set("\x1b\x07\x9b\u202e") & set(shown)
    assert "[red]" in shown


def test_a_broken_trace_is_a_clear_message(traces: Path) -> None:
    traces.mkdir()
    (traces / "T001-s1.jsonl").write_text("nonsense\n")
    for arguments in (["T001"], ["T001", "--json"], ["T001", "--follow"]):
        refused = ask(traces, *arguments).exception
        assert isinstance(refused, HarnessError)
        assert "T001-s1.jsonl:1 is no line of a trace" in str(refused)


def test_long_results_are_cut_unless_all_is_wanted(traces: Path) -> None:
    trace = writer(traces)
    trace.tool_use("c", "bash", {"command": "seq 100"})
    trace.tool_result(
        "c", "bash", Answer(text="\n".join(f"line {n}" for n in range(100))), duration_s=0
    )
    trace.close()
    assert "line 99" not in ask(traces, "T001").output
    assert "92 more lines" in ask(traces, "T001").output
    assert "line 99" in ask(traces, "T001", "--whole").output
