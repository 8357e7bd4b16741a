from __future__ import annotations

import json
from typing import Any

import pytest

from campaign.adapters.agents.requests import way_out

SCHEMA = {"type": "object", "properties": {"url": {"type": "string"}}}
CLAUDE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 1,
    "system": [{"type": "text", "text": "see https://example.test"}],
    "tools": [
        {"name": "mcp__oncall__bash", "description": "x", "input_schema": SCHEMA},
        {"type": "custom", "name": "y", "input_schema": SCHEMA},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    ],
    "messages": [
        {"role": "user", "content": "look at https://example.test"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t", "name": "y", "input": {"url": "https://a.test"}}
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [
                        {"type": "text", "text": "https://b.test"},
                        {"type": "image", "source": {"type": "base64", "data": "AA=="}},
                    ],
                }
            ],
        },
    ],
}
OPENAI: dict[str, Any] = {
    "model": "m",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "name": "f", "arguments": '{"url": "https://a.test"}'},
        {"type": "message", "content": [{"type": "input_image", "image_url": "data:image/png;"}]},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": SCHEMA},
        {"type": "custom", "name": "apply_patch"},
        {"type": "local_shell"},
        {"type": "namespace", "name": "oncall", "tools": [{"type": "function", "name": "g"}]},
    ],
}
GEMINI: dict[str, Any] = {
    "contents": [
        {
            "role": "model",
            "parts": [{"functionCall": {"name": "f", "args": {"url": "https://a.test"}}}],
        },
        {"role": "user", "parts": [{"functionResponse": {"response": {"url": "https://a"}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
}


def said(request: Any) -> str:
    return way_out(request if isinstance(request, bytes) else json.dumps(request).encode())


@pytest.mark.parametrize("request_", [CLAUDE, OPENAI, GEMINI, {}, {"prompt": "a text"}, b""])
def test_what_agents_ask_their_models_is_let_through(request_: Any) -> None:
    assert said(request_) == ""


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "web_fetch_20250910", "name": "web_fetch"},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "mcp_toolset", "mcp_server_name": "x"},
        {"type": "web_search"},
        {"type": "web_search_preview"},
        {"type": "mcp", "server_url": "https://evil.test"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "namespace", "tools": [{"type": "web_search"}]},
        {"type": ["custom"]},
        {"googleSearch": {}},
        {"google_search": {}},
        {"urlContext": {}},
        {"codeExecution": {}},
        {"functionDeclarations": [], "googleSearch": {}},
        {"name": "web_search"},
        "web_search",
    ],
)
def test_a_tool_that_the_provider_carries_out_is_a_way_out(tool: Any) -> None:
    own = {"type": "custom", "name": "y", "input_schema": SCHEMA}
    assert "provider's" in said({"tools": [own, tool]})


def test_tools_that_are_no_list_are_looked_at_all_the_same() -> None:
    assert said({"tools": {"googleSearch": {}}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mcp_servers", [{"type": "url", "url": "https://evil.test"}]),
        ("container", {"skills": []}),
        ("container", "container_1"),
        ("web_search_options", {"a": 1}),
        ("plugins", [{"id": "web"}]),
        ("prompt", {"id": "kept by the provider"}),
    ],
)
def test_what_brings_tools_along_is_a_way_out(key: str, value: Any) -> None:
    assert said({"messages": [], key: value}).startswith(f"{key} would")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "url", "url": "https://evil.test/?secret"}},
        {"type": "document", "source": {"type": "url", "url": " HTTPS://evil.test"}},
        {"type": "input_image", "image_url": "https://evil.test"},
        {"type": "image_url", "image_url": {"url": "http://evil.test"}},
        {"type": "input_file", "file_url": "https://evil.test"},
        {"fileData": {"fileUri": "https://evil.test"}},
        {"type": "tool_result", "content": [{"source": {"url": "https://evil.test"}}]},
    ],
)
@pytest.mark.parametrize("key", ["messages", "input", "contents", "system"])
def test_an_address_that_the_provider_would_fetch_is_a_way_out(key: str, part: Any) -> None:
    assert "fetch" in said({key: [{"role": "user", "content": [part]}]})


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'"tools"',
        b'{"tools": [{"type": "web_search"}], "tools": []}',
        b"[" * 100_000,
        b'{"messages": ' + b"[" * 500 + b"]" * 500 + b"}",
        b"\x1f\x8b packed",
    ],
)
def test_what_two_readers_may_read_differently_is_not_let_through(body: bytes) -> None:
    assert said(body)
