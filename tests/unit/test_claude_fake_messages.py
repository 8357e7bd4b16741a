"""The fake Messages API: it speaks the protocol, and refuses what the real one refuses."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.fake_messages.misbehaviour import Echo, Script, call, says
from tests.fake_messages.model import Reply, Text, Thinking, ToolUse
from tests.fake_messages.server import running_fake

ROOT = Path(__file__).parents[2]
HELLO: Any = {"role": "user", "content": "Hello"}
PLAIN: dict[str, Any] = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": [HELLO]}
TOOL = {"name": "sql", "description": "Rows.", "input_schema": {"type": "object"}}
THOUGHT = Reply(
    content=(
        Thinking(thinking="Which rows? " * 20),
        Text(text="I look. " * 20),
        ToolUse(name="sql", input={"query": "SELECT " + "1, " * 40}),
    )
)


def client(base_url: str) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key="any", base_url=base_url, max_retries=0)


async def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    async with running_fake(Script(steps=[THOUGHT])) as fake, client(fake.base_url) as api:
        asked = {**PLAIN, "tools": [TOOL]}
        whole = await api.messages.create(**asked)
        async with api.messages.stream(**asked) as stream:
            streamed = await stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
    said = [block.to_dict() | {"id": ""} for block in whole.content]
    assert said == [block.to_dict() | {"id": ""} for block in streamed.content]
    assert whole.stop_reason == streamed.stop_reason == "tool_use"
    assert whole.usage.output_tokens == streamed.usage.output_tokens


async def test_an_answer_may_be_given_back_and_its_call_answered() -> None:
    model = Script(steps=[THOUGHT, says("One row.")])
    async with running_fake(model) as fake, client(fake.base_url) as api:
        asked: dict[str, Any] = {**PLAIN, "tools": [TOOL]}
        first = await api.messages.create(**asked)
        result = {
            "type": "tool_result",
            "tool_use_id": first.content[-1].to_dict()["id"],
            "content": "1",
        }
        later = [HELLO, first.to_param(), {"role": "user", "content": [result]}]
        second = await api.messages.create(**{**asked, "messages": later})
    assert second.content[0].to_dict()["text"] == "One row."
    assert fake.refused == []


async def test_errors_come_in_the_apis_form_with_a_request_id() -> None:
    async with running_fake(Echo(), api_key="the right one") as fake, client(fake.base_url) as api:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await api.messages.create(**PLAIN)
    assert refused.value.type == "authentication_error"
    assert (refused.value.request_id or "").startswith("req_")


async def test_tokens_can_be_counted() -> None:
    async with running_fake(Echo()) as fake, client(fake.base_url) as api:
        counted = await api.messages.count_tokens(model="claude-opus-5-5", messages=[HELLO])
    assert counted.input_tokens > 0


async def test_a_prompt_longer_than_the_window_is_refused() -> None:
    async with running_fake(Echo(), context_window=5) as fake, client(fake.base_url) as api:
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
            await api.messages.create(**PLAIN)


Change = Callable[[list[dict[str, Any]]], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda messages: messages.pop(0), "first message must use"),
        (
            lambda messages: messages[2].update(content="And now?"),
            "`tool_use` ids were found without",
        ),
        (
            lambda messages: messages[2]["content"].append(messages[2]["content"][0]),
            "unexpected `tool_use_id`",
        ),
        (
            lambda messages: messages[2]["content"].insert(0, {"type": "text", "text": "so:"}),
            "`tool_use` ids were found without",
        ),
        (lambda messages: messages[1]["content"].pop(0), "cannot be modified"),
        (
            lambda messages: messages[1]["content"][0].update(thinking="other"),
            "Invalid `signature` in `thinking` block",
        ),
        (lambda messages: messages[1]["content"][1].update(text=" "), "non-whitespace"),
        (lambda messages: messages[0].update(content=[]), "non-empty content"),
        (
            lambda messages: messages.append({"role": "assistant", "content": "Well,"}),
            "does not support assistant message prefill",
        ),
    ],
)
async def test_a_history_that_does_not_fit_is_refused(change: Change, words: str) -> None:
    model = Script(steps=[THOUGHT, says("x")])
    async with running_fake(model) as fake, client(fake.base_url) as api:
        asked: dict[str, Any] = {**PLAIN, "tools": [TOOL]}
        first = await api.messages.create(**asked)
        blocks = [block.to_dict() for block in first.content]
        result = {"type": "tool_result", "tool_use_id": blocks[-1]["id"], "content": "1"}
        messages: list[dict[str, Any]] = copy.deepcopy(
            [
                HELLO,
                {"role": "assistant", "content": blocks},
                {"role": "user", "content": [result]},
            ]
        )
        change(messages)
        with pytest.raises(anthropic.BadRequestError, match=words):
            await api.messages.create(**{**asked, "messages": messages})


_MARK = {"type": "ephemeral"}
_MARKED = {"type": "text", "text": "x", "cache_control": _MARK}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"output_config": {"effort": "extreme"}}, "output_config.effort"),
        ({"tools": [TOOL, TOOL]}, "must be unique"),
        ({"tools": [{"name": "sql"}]}, "input_schema"),
        ({"tools": [{"type": "bash_20250124", "name": "shell"}]}, "bash_20250124"),
        ({"cache_control": {"type": "for ever"}}, "cache_control"),
        ({"system": [_MARKED] * 5}, "A maximum of 4 blocks"),
        ({"extra_body": {"context_management": {"edits": []}}}, "Extra inputs"),
        ({"extra_body": {"reasoning": "much"}}, "Extra inputs"),
    ],
)
async def test_a_request_that_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    async with running_fake(Echo()) as fake, client(fake.base_url) as api:
        with pytest.raises(anthropic.BadRequestError, match=words):
            await api.messages.create(**{**PLAIN, **change})


async def test_what_was_marked_is_read_from_the_cache_until_something_before_it_changes() -> None:
    asked: dict[str, Any] = {**PLAIN, "cache_control": _MARK, "system": "You are on call."}
    async with running_fake(Echo()) as fake, client(fake.base_url) as api:
        first = (await api.messages.create(**asked)).usage
        more = [HELLO, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "x"}]
        second = (await api.messages.create(**{**asked, "messages": more})).usage
        third = (await api.messages.create(**{**asked, "system": "You are not."})).usage
    assert first.cache_read_input_tokens == 0
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert third.cache_read_input_tokens == 0


async def test_the_scripted_steps_may_look_at_the_request() -> None:
    model = Script(steps=[call("sql"), lambda request: says(str(len(request["messages"])))])
    async with running_fake(model) as fake, client(fake.base_url) as api:
        await api.messages.create(**PLAIN)
        answer = await api.messages.create(**PLAIN)
    assert answer.content[0].to_dict()["text"] == "1"


def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    record = tmp_path / "requests.json"
    argv = [sys.executable, "-m", "tests.fake_messages", "--record", str(record)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "operator")])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        with anthropic.Anthropic(api_key="any", base_url=base_url, max_retries=0) as api:
            answer = api.messages.create(**PLAIN)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert answer.content[0].to_dict()["text"] == "Hello"
    [request] = json.loads(record.read_text())["requests"]
    assert request["body"]["messages"] == [HELLO]
