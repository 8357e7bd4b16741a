"""A trace is on disk as it happens, says nothing secret, and becomes schema "2"'s document."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from operators.toolbox.answer import Answer
from operators.trace import Trace, TraceError, TraceLostError, TraceWriter, as_document, read_trace
from operators.trace.cleaning import INPUT_CHARS, TEXT_CHARS
from operators.trace.document import ToolResult, ToolUse

from tests.trace_kit import usage, work, writer


def kept(folder: Path) -> str:
    """All that was written, in whichever file."""
    return "".join(file.read_text() for file in folder.iterdir())


def document(trace: TraceWriter) -> Trace:
    trace.close()
    return read_trace(trace.document_path)


def test_the_totals_are_those_of_schema_2(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    work(trace)
    content = json.loads(json.dumps(as_document(document(trace))))
    assert content["schemaVersion"] == "2"
    assert (content["source"], content["sessionId"]) == ("claude", "T001-s1")
    assert content["summary"] == {
        "agentSteps": 3,
        "toolCallCount": 5,
        "toolResultCount": 5,
        "thinkingCount": 1,
        "assistantTextCount": 1,
        "eventCount": 13,
        "unpairedToolCalls": 0,
        "unpairedToolResults": 0,
        "toolClasses": {"database": 1, "metrics": 1, "edit": 1, "deploy": 1, "verify": 1},
        "remarkCount": 1,
    }
    used = content["usage"]
    assert used["inputTokens"] == 1_510
    assert used["outputTokens"] == 320
    assert used["cachedInputTokens"] == used["cacheReadTokens"] == 1_200
    assert used["cacheCreationTokens"] is used["cacheWriteTokens"] is None
    assert used["totalCostUsd"] == pytest.approx((1510 * 5 + 320 * 25 + 1200 * 0.5) / 1e6)
    assert used["pricingSource"] == "price-table:2026-11-12"
    assert used["latencyMs"] == 4_500


def test_an_event_looks_as_in_schema_2_with_ours_beside_it(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    work(trace)
    events = {event["id"]: event for event in as_document(document(trace))["events"]}
    assert events["evt-3"] == {
        "id": "evt-3",
        "kind": "tool_use",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "timestamp": "2026-01-01T00:00:05.000Z",
        "name": "sql",
        "toolUseId": "c1",
        "input": {"query": "EXPLAIN SELECT 1"},
        "toolClass": "database",
    }
    assert events["evt-6"] == {
        "id": "evt-6",
        "kind": "tool_result",
        "role": "tool",
        "timestamp": "2026-01-01T00:00:08.000Z",
        "toolUseId": "c1",
        "toolName": "sql",
        "isError": False,
        "content": "Seq Scan",
        "durationMs": 100.0,
    }
    assert "+b" in events["evt-9"]["diff"]


def test_it_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.user_message("hello")
    running = read_trace(trace.path)
    assert not running.complete
    assert [event.kind for event in running.events] == ["user_message"]
    trace.remark("waiting")
    assert trace.document().remarks[0].after_event == "evt-1"
    trace.close()
    assert read_trace(trace.path) == read_trace(trace.document_path)
    assert read_trace(trace.path).complete


def test_a_torn_last_line_is_left_out_and_a_broken_one_named(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.user_message("one")
    trace.user_message("two")
    whole = trace.path.read_bytes()
    for lost in (1, 10, 40):
        trace.path.write_bytes(whole[:-lost])
        assert len(read_trace(trace.path).events) == 1
    trace.path.write_bytes(whole.replace(b'"one"', b'"one'))
    with pytest.raises(TraceError, match=r"T001-s1\.jsonl:2 is no line of a trace"):
        read_trace(trace.path)


def test_a_file_that_is_no_trace_is_refused_by_name(tmp_path: Path) -> None:
    empty, other = tmp_path / "a.jsonl", tmp_path / "b.json"
    empty.touch()
    other.write_text("{}")
    with pytest.raises(TraceError, match="its first line is missing"):
        read_trace(empty)
    with pytest.raises(TraceError, match=r"b\.json is no trace"):
        read_trace(other)
    with pytest.raises(TraceError, match="No such file"):
        read_trace(tmp_path / "c.json")


def test_a_call_without_a_result_and_a_result_without_a_call_are_said_so(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.tool_use("a", "bash", {"command": "ls"})
    trace.tool_use("b", "bash", {"command": "ls"})
    trace.tool_result("b", "bash", Answer(text="x"), duration_s=0)
    trace.tool_result("z", "bash", Answer(text="x"), duration_s=0)
    done = document(trace)
    calls = [event for event in done.events if isinstance(event, ToolUse | ToolResult)]
    assert [call.paired for call in calls] == [False, None, None, False]
    assert done.summary.unpaired_tool_calls == 1
    assert done.summary.unpaired_tool_results == 1


def test_an_id_that_comes_twice_is_two_calls(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    for _ in range(2):
        trace.tool_use("a", "bash", {"command": "ls"})
        trace.tool_result("a", "bash", Answer(text="x"), duration_s=0)
    assert document(trace).summary.unpaired_tool_calls == 0


def test_who_reports_no_turns_has_one_wherever_it_acts_anew(tmp_path: Path) -> None:
    trace = writer(tmp_path, source="external")
    trace.user_message("ticket")
    for number in range(3):
        trace.tool_use(f"c{number}", "bash", {"command": "ls"})
        trace.tool_result(f"c{number}", "bash", Answer(text="x"), duration_s=0)
    done = document(trace)
    assert done.summary.agent_steps == 3
    assert done.usage.input_tokens is None
    assert (done.usage.total_cost_usd, done.usage.pricing_source) == (None, "unknown")


def test_what_the_agent_reports_counts_as_a_whole(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.turn(usage())
    trace.turn(usage(input_tokens=None, output_tokens=None, reported_usd=0.25))
    used = document(trace).usage
    assert (used.total_cost_usd, used.pricing_source) == (0.25, "agent-reported")
    assert used.turns_without_tokens == 1


def test_one_turn_of_unknown_cost_makes_the_total_unknown(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.turn(usage())
    trace.turn(usage(model="somebody-elses-model"))
    used = document(trace).usage
    assert (used.total_cost_usd, used.pricing_source) == (None, "unknown")
    assert used.known_cost_usd == pytest.approx(0.01)


def test_no_secret_is_written_wherever_it_stands(tmp_path: Path) -> None:
    secret = "sk-ant-0123456789"  # noqa: S105 - made up
    trace = writer(tmp_path, redact={secret, ""})
    trace.user_message(f"a {secret}")
    trace.thinking(secret, model=secret)
    trace.assistant_text(f"{secret}{secret}", model="m")
    trace.tool_use(secret, secret, {secret: [{"deep": f"x{secret}"}], "n": 1})
    trace.tool_result(secret, secret, Answer(text=secret, diff=f"+{secret}"), duration_s=0)
    trace.turn(usage(model=secret, stop_reason=secret))
    trace.remark(secret)
    trace.close()
    assert secret not in kept(tmp_path)
    assert "[redacted]" in kept(tmp_path)
    assert "a [redacted]" in kept(tmp_path)


def test_a_secret_is_not_left_over_where_a_text_is_cut(tmp_path: Path) -> None:
    secret = "sk-ant-" + "0123456789" * 5
    trace = writer(tmp_path, redact={secret})
    trace.user_message("x" * (TEXT_CHARS // 2 - 20) + secret + "y" * TEXT_CHARS)
    assert secret[:12] not in kept(tmp_path)


def test_what_is_too_long_is_cut_in_the_middle_and_marked(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.user_message("a" + "x" * TEXT_CHARS + "z")
    trace.tool_use("c", "bash", {"command": "y" * INPUT_CHARS * 2, "timeout_s": 5})
    trace.tool_use("d", "bash", {str(number): number for number in range(INPUT_CHARS)})
    message, call, many = document(trace).events
    assert message.cut_chars == 2
    assert message.kind == "user_message"
    assert message.content.startswith("ax")
    assert message.content.endswith("xz")
    assert "[2 characters cut]" in message.content
    assert isinstance(call, ToolUse)
    assert call.input["timeout_s"] == 5
    assert call.cut_chars
    assert len(json.dumps(call.input)) <= INPUT_CHARS
    assert isinstance(many, ToolUse)
    assert list(many.input) == ["_cut"]


def test_what_json_cannot_hold_is_written_all_the_same(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    trace.tool_use("c", "bash", {"a": float("nan"), "b": deep, "c": b"x", "d": "\ud800"})
    trace.user_message("\ud800\x00\x1b[31m")
    assert len(document(trace).events) == 2


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    trace = writer(tmp_path / "traces")
    trace.close()
    files = (trace.path, trace.document_path)
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert stat.S_IMODE(trace.path.parent.stat().st_mode) == 0o700


def test_what_an_earlier_process_left_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second", "third"):
        writer(tmp_path).user_message(text)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["T001-s1.1.jsonl", "T001-s1.2.jsonl", "T001-s1.jsonl"]
    assert "first" in (tmp_path / "T001-s1.1.jsonl").read_text()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 200])
def test_a_session_cannot_be_named_out_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a session's name"):
        writer(tmp_path, session_id=name)


def test_an_answer_that_broke_off_is_no_turn_but_has_cost_something(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.turn(usage(input_tokens=1_000, output_tokens=100))
    trace.broken_off(usage(input_tokens=2_000, output_tokens=10, stop_reason=""))
    done = document(trace)
    assert (done.summary.agent_steps, len(done.turns), len(done.broken_answers)) == (1, 1, 1)
    assert (done.usage.input_tokens, done.usage.output_tokens) == (3_000, 110)
    assert done.usage.total_cost_usd == pytest.approx((3_000 * 5 + 110 * 25) / 1e6)
    assert done.usage.latency_ms == 1_500


async def test_others_go_on_while_its_document_is_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_went_on = threading.Event()
    written: list[bool] = []

    def slowly(path: Path) -> Trace:
        written.append(others_went_on.wait(timeout=10))
        return read_trace(path)

    monkeypatch.setattr("operators.trace.writer.read_trace", slowly)
    trace = writer(tmp_path)

    async def session() -> None:
        async with trace:
            trace.remark("worked")

    closing = asyncio.create_task(session())
    await asyncio.sleep(0)
    others_went_on.set()
    await closing
    assert written == [True]
    assert trace.document_path.exists()


async def test_a_document_is_finished_though_its_session_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    may_go_on = threading.Event()

    def slowly(path: Path) -> Trace:
        loop.call_soon_threadsafe(begun.set)
        assert may_go_on.wait(timeout=10)
        return read_trace(path)

    monkeypatch.setattr("operators.trace.writer.read_trace", slowly)
    trace = writer(tmp_path)
    closing = asyncio.create_task(trace.aclose())
    await begun.wait()
    closing.cancel()
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert trace.document_path.exists()


def test_what_comes_after_the_end_is_too_late(tmp_path: Path) -> None:
    with writer(tmp_path) as trace:
        trace.user_message("a")
    before = trace.path.read_bytes()
    trace.user_message("b")
    trace.close()
    assert trace.path.read_bytes() == before


# -- a disk that is full -------------------------------------------------------------------------


def fill_the_disk(trace: TraceWriter) -> None:
    """What it writes from now on meets a device that is always full."""
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, trace._file)
    os.close(full)


def test_what_cannot_be_kept_is_said_and_nothing_comes_after_it(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    work(trace)
    fill_the_disk(trace)
    for _ in range(2):
        with pytest.raises(TraceLostError) as caught:
            trace.remark("more")
        assert not isinstance(caught.value, OSError)
        assert str(caught.value) == "T001-s1.jsonl cannot be written: No space left on device"
    assert len(read_trace(trace.path).turns) == 3
    with pytest.raises(TraceLostError):
        trace.close()
    trace.close()


def test_a_folder_that_cannot_be_made_is_a_lost_trace(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("")
    with pytest.raises(TraceLostError, match=r"Not a directory|File exists"):
        writer(tmp_path / "traces")


def test_what_went_wrong_first_is_what_is_told(tmp_path: Path) -> None:
    def fails(trace: TraceWriter, problem: Exception | None) -> None:
        with trace:
            fill_the_disk(trace)
            if problem is not None:
                raise problem

    with pytest.raises(KeyError):
        fails(writer(tmp_path), KeyError())
    with pytest.raises(TraceLostError):
        fails(writer(tmp_path, session_id="T001-s2"), None)


def test_a_document_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    work(trace)
    trace.document_path.mkdir()
    trace.close()
    assert read_trace(trace.path).complete


def test_a_flood_of_words_fills_no_disk_and_what_the_model_cost_is_told_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operators.trace.writer._MAX_BYTES", 10_000)
    trace = writer(tmp_path)
    for _ in range(1_000):
        trace.assistant_text("x" * 100, model="m")
        trace.remark("hm")
    trace.turn(usage())
    size = trace.path.stat().st_size
    done = document(trace)
    assert size < 12_000
    assert len(done.turns) == 1
    assert done.complete
    (told,) = (remark.text for remark in done.remarks if "full" in remark.text)
    assert "left out" in told
    assert done.turns[0].after_event == done.events[-1].id
