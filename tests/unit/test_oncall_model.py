"""The on-call model: evidence in, edits and a root cause out; without evidence, nothing."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from campaign.model import TOOL_NAMES
from tests.fake_messages.model import Reply, Text, ToolUse
from tests.fake_messages.oncall import OnCall
from tests.oncall_faults import FAULTS, RECORDED, sent
from tests.oncall_kit import Ward

PLACES = {
    "unindexed": {"schema.py", "schema.py:messages_table"},
    "patterned": {"schema.py", "schema.py:messages_table"},
    "refused": {"pool.py", "pool.py:create_pool"},
    "queued": {"models.py", "models.py:record_message", "models.py:add_token_usage"},
    "held": {"streaming.py", "streaming.py:run_turn"},
}


@pytest.fixture(params=list(FAULTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_it_resolves_the_ticket_with_the_places_of_the_cause(
    name: str, tmp_path: Path
) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    await ward.work(OnCall())
    assert ward.resolved is not None, ward.last_words
    assert ward.mended
    assert set(ward.resolved.places) == PLACES[name]
    assert len(ward.deployed) == 1


async def test_the_same_conversation_gets_the_same_answer_and_nothing_else_matters(
    name: str, tmp_path: Path
) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    await ward.work(OnCall())
    other = OnCall()
    for at in range(len(ward.messages) - 1, 0, -2):
        turn = ward.messages[at]
        if turn["role"] != "assistant":
            continue
        request = ward.request(ward.toolbox()) | {"messages": copy.deepcopy(ward.messages[:at])}
        asked = copy.deepcopy(request)
        said = other.answer(request)
        assert request == asked
        assert isinstance(said, Reply)
        assert [
            (block.name, dict(block.input))  # type: ignore[arg-type]  # it never sends pieces
            for block in said.content
            if isinstance(block, ToolUse)
        ] == [(use["name"], use["input"]) for use in turn["content"] if use["type"] == "tool_use"]


NEEDED = {
    "unindexed": ("read_ticket", "list_metrics", "query_metrics", "sql", "search_files"),
    "patterned": ("str_replace_based_edit_tool", "http_request", "deploy"),
    "refused": ("query_metrics", "search_files", "str_replace_based_edit_tool"),
    "queued": ("sql", "search_files", "str_replace_based_edit_tool", "read_ticket", "deploy"),
    "held": ("sql", "search_files", "str_replace_based_edit_tool", "http_request"),
}


@pytest.mark.parametrize(
    ("fault", "tool"), [(fault, tool) for fault, tools in NEEDED.items() for tool in tools]
)
async def test_with_the_results_of_a_tool_blanked_it_resolves_nothing(
    fault: str, tool: str, tmp_path: Path
) -> None:
    ward = Ward.of(FAULTS[fault], tmp_path, blank=frozenset({tool}))
    await ward.work(OnCall())
    assert ward.resolved is None
    assert "leave the ticket open" in ward.last_words


async def test_with_all_results_blanked_it_changes_nothing(name: str, tmp_path: Path) -> None:
    ward = Ward.of(FAULTS[name], tmp_path, blank=frozenset(TOOL_NAMES))
    await ward.work(OnCall())
    assert ward.resolved is None
    assert not ward.deployed
    assert not ward.calls("deploy")


async def test_refusals_that_neither_log_nor_database_tells_of_are_not_made_up(
    tmp_path: Path,
) -> None:
    fault = replace(FAULTS["refused"], refusals=0)
    ward = Ward.of(fault, tmp_path, blank=frozenset({"read_logs"}))
    await ward.work(OnCall())
    assert ward.resolved is None
    assert not ward.deployed


FILES = {
    "unindexed": "schema.py",
    "patterned": "schema.py",
    "refused": "pool.py",
    "queued": "models.py",
    "held": "streaming.py",
}


async def test_a_file_that_bears_another_name_is_found_under_it(name: str, tmp_path: Path) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    old = ward.folder / FILES[name]
    old.rename(ward.folder / "elsewhere.py")
    await ward.work(OnCall())
    edited = [use["path"] for use in ward.calls("edit_tool") if use["command"] == "str_replace"]
    assert edited[0] == "elsewhere.py"
    assert FILES[name] not in edited


async def test_a_file_that_is_gone_leaves_it_without_an_answer(name: str, tmp_path: Path) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    (ward.folder / FILES[name]).unlink()
    await ward.work(OnCall())
    assert ward.resolved is None
    assert not ward.deployed
    assert "leave the ticket open" in ward.last_words


async def test_a_file_that_is_not_where_the_search_said_is_not_guessed(
    name: str, tmp_path: Path
) -> None:
    def renamed(tool: str, text: str) -> str:
        return text.replace(FILES[name], "other.py") if tool == "search_files" else text

    ward = Ward.of(FAULTS[name], tmp_path, garbled=renamed)
    await ward.work(OnCall())
    assert ward.resolved is None
    assert not ward.deployed


async def test_a_change_that_does_not_help_is_not_called_a_repair(
    name: str, tmp_path: Path
) -> None:
    ward = Ward.of(replace(FAULTS[name], mended=lambda _: False), tmp_path)
    await ward.work(OnCall())
    assert ward.resolved is None
    assert 1 <= len(ward.deployed) <= 3
    assert "leave the ticket open" in ward.last_words


async def test_a_healthy_service_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    ward.mended = True
    await ward.work(OnCall())
    assert ward.resolved is None
    assert not ward.deployed


async def test_a_database_that_does_not_always_answer_is_asked_again(
    name: str, tmp_path: Path
) -> None:
    ward = Ward.of(FAULTS[name], tmp_path, hiccups=True)
    await ward.work(OnCall())
    assert ward.resolved is not None, ward.last_words


async def test_an_mcp_clients_names_of_the_tools_will_do(name: str, tmp_path: Path) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    await ward.work(OnCall(), prefix="mcp__ratchet__")
    assert ward.resolved is not None, ward.last_words


async def test_in_plan_mode_it_files_a_plan_before_it_edits(name: str, tmp_path: Path) -> None:
    ward = Ward.of(FAULTS[name], tmp_path)
    await ward.work(OnCall(), plan_mode=True)
    assert ward.resolved is not None, ward.last_words
    used = [
        block["name"]
        for message in ward.messages
        for block in message["content"]
        if message["role"] == "assistant" and block["type"] == "tool_use"
    ]
    assert used.index("file_plan") < used.index("deploy")
    assert used[: used.index("file_plan")].count("bash") == 0


async def test_it_asks_for_several_things_at_once_and_thinks_when_it_may(tmp_path: Path) -> None:
    ward = Ward.of(FAULTS["unindexed"], tmp_path)
    await ward.work(OnCall())
    kinds = [[block["type"] for block in of["content"]] for of in ward.messages[1::2]]
    assert any(of.count("tool_use") > 2 for of in kinds)
    assert any("thinking" in of for of in kinds)
    said = OnCall().answer(
        ward.request(ward.toolbox()) | {"messages": ward.messages[:1], "thinking": None}
    )
    assert isinstance(said, Reply)
    assert {type(block) for block in said.content} == {Text, ToolUse}


async def test_a_conversation_whose_beginning_was_cut_off_costs_it_no_more_than_a_repetition(
    tmp_path: Path,
) -> None:
    ward = Ward.of(FAULTS["unindexed"], tmp_path)
    await ward.work(OnCall())
    cut = [ward.messages[0], *ward.messages[5:]]
    said = OnCall().answer(ward.request(ward.toolbox()) | {"messages": cut})
    assert isinstance(said, Reply)
    calls = [block.name for block in said.content if isinstance(block, ToolUse)]
    assert calls[0] == "read_ticket"


def test_a_side_question_without_tools_gets_any_short_text() -> None:
    said = OnCall().answer({"messages": [{"role": "user", "content": "A title?"}]})
    assert isinstance(said, Reply)
    assert [type(block) for block in said.content] == [Text]


def test_what_was_recorded_is_what_the_service_sends() -> None:
    assert all(sent(statement) for statement in RECORDED)
