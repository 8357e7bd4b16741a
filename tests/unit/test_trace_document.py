"""The document is a superset of schema "2", and its published JSON Schema is up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
from operators.trace import as_document, read_trace, trace_schema_text

from tests.trace_kit import work, writer

PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / "trace.schema.json"

#: as another harness writes it: nothing of ours, and one key that we do not know
FOREIGN: dict[str, Any] = {
    "schemaVersion": "2",
    "source": "claude-session-jsonl",
    "sessionId": "0b0e",
    "summary": {
        "agentSteps": 2,
        "toolCallCount": 1,
        "toolResultCount": 1,
        "thinkingCount": 1,
        "assistantTextCount": 1,
        "eventCount": 5,
    },
    "usage": {
        "inputTokens": 49,
        "outputTokens": 2104,
        "cachedInputTokens": 0,
        "cacheCreationTokens": 0,
        "cacheReadTokens": 0,
        "cacheWriteTokens": 0,
        "totalCostUsd": 0.25,
        "pricingSource": "agent-reported",
    },
    "events": [
        {
            "id": "evt-1",
            "kind": "user_message",
            "role": "user",
            "timestamp": "2026-04-08T03:23:01.513Z",
            "content": "It is slow.",
        },
        {
            "id": "evt-2",
            "kind": "thinking",
            "role": "assistant",
            "model": "claude-opus-4-6",
            "timestamp": "2026-04-08T03:23:02.513Z",
            "content": "Why?",
            "strange": 1,
        },
        {
            "id": "evt-3",
            "kind": "tool_use",
            "role": "assistant",
            "model": "claude-opus-4-6",
            "timestamp": "2026-04-08T03:23:03.513Z",
            "name": "Bash",
            "toolUseId": "toolu_1",
            "input": {"command": "ls"},
        },
        {
            "id": "evt-4",
            "kind": "tool_result",
            "role": "tool",
            "timestamp": "2026-04-08T03:23:04.513Z",
            "toolUseId": "toolu_1",
            "toolName": "Bash",
            "isError": False,
            "content": "main.py",
        },
        {
            "id": "evt-5",
            "kind": "assistant_text",
            "role": "assistant",
            "model": "claude-opus-4-6",
            "timestamp": "2026-04-08T03:23:05.513Z",
            "content": "Done.",
        },
    ],
}


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(trace_schema_text())
    return loaded


def test_what_is_published_is_up_to_date() -> None:
    assert PUBLISHED.read_text() == trace_schema_text(), "run `make schema`"


def test_it_is_a_json_schema() -> None:
    jsonschema_rs.meta.validate(schema())


def test_a_document_of_schema_2_from_elsewhere_is_read(tmp_path: Path) -> None:
    jsonschema_rs.validate(schema(), FOREIGN)
    file = tmp_path / "other.json"
    file.write_text(json.dumps(FOREIGN))
    trace = read_trace(file)
    assert trace.summary.agent_steps == 2
    assert [event.kind for event in trace.events] == [e["kind"] for e in FOREIGN["events"]]
    again = as_document(trace)
    for part in ("summary", "usage"):
        assert FOREIGN[part].items() <= again[part].items()
    assert again["events"][0] == FOREIGN["events"][0]
    assert again["events"][2:] == FOREIGN["events"][2:]


def test_ours_fits_the_schema_and_has_all_of_schema_2(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    work(trace)
    trace.close()
    document = json.loads(trace.document_path.read_text())
    jsonschema_rs.validate(schema(), document)
    assert FOREIGN.keys() <= document.keys()
    for part in ("summary", "usage"):
        assert FOREIGN[part].keys() <= document[part].keys()
    ours = {event["kind"]: event.keys() for event in document["events"]}
    for event in FOREIGN["events"]:
        assert event.keys() - {"strange"} <= ours[event["kind"]]
